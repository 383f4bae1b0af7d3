using Google.Protobuf;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;
using Henge.Server.Tests.Fakes;

namespace Henge.Server.Tests.Kv;

public sealed class KvUnaryTests
{
    private static ByteString B(string text) => ByteString.CopyFromUtf8(text);

    [Theory]
    [InlineData("henge.v1.KVStore", false)]
    [InlineData("henge.v1.KVStore", true)]
    [InlineData("kvstore.KVStore", false)]
    public async Task What_is_put_can_be_got_and_deleted(string service, bool inline)
    {
        await using RunningServer server = await RunningServer.StartAsync(new FakeNode { Inline = inline });
        GetResponse before = await server.CallAsync<GetResponse>($"/{service}/Get", new GetRequest { Key = B("k") });
        Assert.Equal(new GetResponse(), before);

        PutResponse put = await server.CallAsync<PutResponse>($"/{service}/Put", new PutRequest { Key = B("k"), Value = B("v") });
        Assert.True(put.Success);
        Assert.NotEqual(0UL, put.Version);

        GetResponse got = await server.CallAsync<GetResponse>($"/{service}/Get", new GetRequest { Key = B("k") });
        Assert.Equal(new GetResponse { Found = true, Value = B("v"), Version = put.Version }, got);

        DeleteResponse deleted = await server.CallAsync<DeleteResponse>(
            $"/{service}/Delete",
            new DeleteRequest { Key = B("k"), ReturnPrevious = true });
        Assert.True(deleted.Success);
        Assert.Equal(new KeyValue { Key = B("k"), Value = B("v"), Version = put.Version }, deleted.Previous);

        DeleteResponse again = await server.CallAsync<DeleteResponse>($"/{service}/Delete", new DeleteRequest { Key = B("k") });
        Assert.False(again.Success);
        Assert.False(again.ConditionFailed);

        GetResponse past = await server.CallAsync<GetResponse>($"/{service}/Get", new GetRequest { Key = B("k"), Version = put.Version });
        Assert.Equal(B("v"), past.Value);
        Assert.Equal(0, server.Node.Pins);
    }

    [Fact]
    public async Task A_put_with_a_condition_tells_the_version_that_is_there()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        PutResponse first = await server.CallAsync<PutResponse>(
            "/henge.v1.KVStore/Put",
            new PutRequest
            {
                Key = B("k"),
                Value = B("1"),
                IfVersion = 0,
            });
        Assert.True(first.Success);
        PutResponse second = await server.CallAsync<PutResponse>(
            "/henge.v1.KVStore/Put",
            new PutRequest
            {
                Key = B("k"),
                Value = B("2"),
                IfVersion = 0,
                ReturnPrevious = true,
            });
        Assert.False(second.Success);
        Assert.Equal(first.Version, second.Version);
        Assert.Equal(B("1"), second.Previous.Value);
        DeleteResponse delete = await server.CallAsync<DeleteResponse>(
            "/henge.v1.KVStore/Delete",
            new DeleteRequest { Key = B("k"), IfVersion = first.Version + 1 });
        Assert.True(delete.ConditionFailed);
        Assert.False(delete.Success);
    }

    [Theory]
    [InlineData(60UL, 0UL)]
    [InlineData(0UL, 60_000UL)]
    [InlineData(5UL, 60_000UL)]
    public async Task A_time_to_live_comes_back_as_what_is_left_of_it(ulong seconds, ulong milliseconds)
    {
        await using RunningServer server = await RunningServer.StartAsync();
        await server.CallAsync<PutResponse>(
            "/henge.v1.KVStore/Put",
            new PutRequest
            {
                Key = B("k"),
                Value = B("v"),
                TtlSecs = seconds,
                TtlMs = milliseconds,
            });
        GetResponse got = await server.CallAsync<GetResponse>("/henge.v1.KVStore/Get", new GetRequest { Key = B("k") });
        Assert.InRange(got.TtlRemainingMs, 1, 60_000);
        Assert.True(got.TtlRemainingMs > 20_000);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(1000)]
    [InlineData(70_000)]
    [InlineData(1_500_000)]
    [InlineData(4 * 1024 * 1024)]
    public async Task Values_of_every_size_travel_both_ways(int size)
    {
        await using RunningServer server = await RunningServer.StartAsync();
        byte[] value = new byte[size];
        new Random(size).NextBytes(value);
        await server.CallAsync<PutResponse>("/henge.v1.KVStore/Put", new PutRequest { Key = B("k"), Value = ByteString.CopyFrom(value) });
        GetResponse got = await server.CallAsync<GetResponse>("/henge.v1.KVStore/Get", new GetRequest { Key = B("k") });
        Assert.Equal(value, got.Value.ToByteArray());
        Assert.True(got.Found);
    }

    public static TheoryData<string, IMessage, string, ErrorCode> BadRequests() =>
        new()
        {
            { "Get", new GetRequest(), "key is not set", ErrorCode.InvalidArgument },
            {
                "Get",
                new GetRequest { Key = ByteString.CopyFrom(new byte[16 * 1024 + 1]) },
                "limit is 16384",
                ErrorCode.TooLarge
            },
            {
                "Get",
                new GetRequest
                {
                    Key = B("k"),
                    Version = 1,
                    AtUnixMs = 1_800_000_000_000,
                },
                "Set one of them",
                ErrorCode.InvalidArgument
            },
            {
                "Get",
                new GetRequest { Key = B("k"), Version = ulong.MaxValue },
                "largest version there can be",
                ErrorCode.InvalidArgument
            },
            {
                "Get",
                new GetRequest { Key = B("k"), AtUnixMs = 5 },
                "before 2025",
                ErrorCode.HistoryGone
            },
            {
                "Get",
                new GetRequest { Key = B("k"), AtUnixMs = -5 },
                "before 2025",
                ErrorCode.HistoryGone
            },
            {
                "Get",
                new GetRequest { Key = B("k"), AtUnixMs = long.MinValue },
                "before 2025",
                ErrorCode.HistoryGone
            },
            {
                "Scan",
                new ScanRequest { AtUnixMs = 1_735_689_599_999 },
                "before 2025",
                ErrorCode.HistoryGone
            },
            {
                "History",
                new HistoryRequest { Key = B("k"), MaxVersion = ulong.MaxValue },
                "max_version",
                ErrorCode.InvalidArgument
            },
            {
                "Get",
                new GetRequest { Key = B("k"), Consistency = (Consistency)9 },
                "no consistency 9",
                ErrorCode.InvalidArgument
            },
            {
                "Put",
                new PutRequest { Value = B("v") },
                "key is not set",
                ErrorCode.InvalidArgument
            },
            {
                "Put",
                new PutRequest { Key = B("k"), Value = ByteString.CopyFrom(new byte[4 * 1024 * 1024 + 1]) },
                "limit is 4194304",
                ErrorCode.TooLarge
            },
            {
                "Put",
                new PutRequest
                {
                    Key = B("k"),
                    TtlSecs = 1,
                    KeepTtl = true,
                },
                "not both",
                ErrorCode.InvalidArgument
            },
            {
                "Put",
                new PutRequest { Key = B("k"), ClientId = 1 },
                "sequence is not",
                ErrorCode.InvalidArgument
            },
            {
                "Put",
                new PutRequest { Key = B("k"), Sequence = 1 },
                "client_id is not",
                ErrorCode.InvalidArgument
            },
            {
                "Put",
                new PutRequest { Key = B("k"), IfVersion = ulong.MaxValue },
                "if_version",
                ErrorCode.InvalidArgument
            },
            { "Delete", new DeleteRequest(), "key is not set", ErrorCode.InvalidArgument },
            {
                "Scan",
                new ScanRequest { Prefix = B("a"), StartKey = B("b") },
                "Both a prefix and a range",
                ErrorCode.InvalidArgument
            },
            {
                "Scan",
                new ScanRequest { StartKey = B("b"), EndKey = B("a") },
                "ends before it begins",
                ErrorCode.InvalidArgument
            },
            {
                "Scan",
                new ScanRequest { Continuation = B("nonsense") },
                "not one that a scan gave",
                ErrorCode.InvalidArgument
            },
            {
                "ScanStream",
                new ScanRequest { StartKey = B("b"), EndKey = B("a") },
                "ends before it begins",
                ErrorCode.InvalidArgument
            },
            { "History", new HistoryRequest(), "key is not set", ErrorCode.InvalidArgument },
            {
                "Watch",
                new WatchRequest { StartKey = B("b"), EndKey = B("a") },
                "ends before it begins",
                ErrorCode.InvalidArgument
            },
            {
                "Watch",
                new WatchRequest { StartVersion = ulong.MaxValue },
                "start_version",
                ErrorCode.InvalidArgument
            },
            { "Txn", new TxnRequest(), "transaction is empty", ErrorCode.InvalidArgument },
            {
                "Txn",
                new TxnRequest { Compare = { new Compare { Key = B("k") } } },
                "says not with what",
                ErrorCode.InvalidArgument
            },
            {
                "Txn",
                new TxnRequest { Then = { new TxnOperation() } },
                "set get, put or delete",
                ErrorCode.InvalidArgument
            },
            {
                "Txn",
                new TxnRequest { Then = { Enumerable.Repeat(new TxnOperation { Get = new GetRequest { Key = B("k") } }, 1025) } },
                "limit is 1024",
                ErrorCode.TooLarge
            },
        };

    [Theory]
    [MemberData(nameof(BadRequests))]
    public async Task A_request_that_makes_no_sense_is_refused_with_the_reason(
        string method,
        IMessage request,
        string reason,
        ErrorCode code)
    {
        await using RunningServer server = await RunningServer.StartAsync();
        CallResult result = await server.CallAsync($"/henge.v1.KVStore/{method}", request);
        Assert.Equal(code == ErrorCode.HistoryGone ? GrpcStatusCode.OutOfRange : GrpcStatusCode.InvalidArgument, result.Status);
        Assert.Contains(reason, result.Message);
        Assert.Equal(((int)code).ToString(), result.HengeError);
        Assert.True(result.TrailersOnly);
        Assert.Equal(0, server.Node.Submitted);
    }

    [Theory]
    [InlineData(ErrorCode.NotLeader, GrpcStatusCode.FailedPrecondition)]
    [InlineData(ErrorCode.Unavailable, GrpcStatusCode.Unavailable)]
    [InlineData(ErrorCode.UnknownOutcome, GrpcStatusCode.Unknown)]
    [InlineData(ErrorCode.ResourceExhausted, GrpcStatusCode.ResourceExhausted)]
    [InlineData(ErrorCode.DiskFull, GrpcStatusCode.ResourceExhausted)]
    [InlineData(ErrorCode.Corruption, GrpcStatusCode.DataLoss)]
    public async Task An_error_of_the_node_reaches_the_caller_whole(ErrorCode code, GrpcStatusCode status)
    {
        FakeNode node = new();
        node.Intercept = operation =>
        {
            operation.Fail(code, "Because: 100% ünlikely\n", "10.0.0.7:7001");
            return true;
        };
        await using RunningServer server = await RunningServer.StartAsync(node);
        foreach (
            (string method, IMessage request) in new (string, IMessage)[]
            {
                ("Get", new GetRequest { Key = B("k") }),
                ("Put", new PutRequest { Key = B("k") }),
                ("Delete", new DeleteRequest { Key = B("k") }),
                ("Scan", new ScanRequest()),
                ("History", new HistoryRequest { Key = B("k") }),
                ("Txn", new TxnRequest { Then = { new TxnOperation { Get = new GetRequest { Key = B("k") } } } }),
            })
        {
            CallResult result = await server.CallAsync($"/henge.v1.KVStore/{method}", request);
            Assert.Equal(status, result.Status);
            Assert.Equal("Because: 100% ünlikely\n", result.Message);
            Assert.Equal(((int)code).ToString(), result.HengeError);
            Assert.Equal("10.0.0.7:7001", result.Leader);
        }
    }

    [Fact]
    public async Task The_second_name_tells_who_leads_in_the_answer_itself()
    {
        FakeNode node = new();
        node.Intercept = operation =>
        {
            operation.Fail(ErrorCode.NotLeader, "Another node leads.", "10.0.0.7:7001");
            return true;
        };
        await using RunningServer server = await RunningServer.StartAsync(node);
        PutResponse put = await server.CallAsync<PutResponse>(
            "/kvstore.KVStore/Put",
            new PutRequest
            {
                Key = B("k"),
                Value = B("v"),
                LeaderOnly = true,
            });
        Assert.Equal((false, 0UL, "10.0.0.7:7001"), (put.Success, put.Version, put.LeaderHint));
        DeleteResponse delete = await server.CallAsync<DeleteResponse>(
            "/kvstore.KVStore/Delete",
            new DeleteRequest { Key = B("k"), LeaderOnly = true });
        Assert.Equal((false, false, "10.0.0.7:7001"), (delete.Success, delete.ConditionFailed, delete.LeaderHint));
        Assert.Equal(
            GrpcStatusCode.FailedPrecondition,
            (await server.CallAsync("/kvstore.KVStore/Get", new GetRequest { Key = B("k"), LeaderOnly = true })).Status);
    }

    [Fact]
    public async Task A_write_that_was_forwarded_tells_who_leads()
    {
        FakeNode node = new();
        node.Intercept = operation =>
        {
            operation.LeaderHint = "10.0.0.7:7001";
            return false;
        };
        await using RunningServer server = await RunningServer.StartAsync(node);
        foreach (string service in (string[])["henge.v1.KVStore", "kvstore.KVStore"])
        {
            PutResponse put = await server.CallAsync<PutResponse>(
                $"/{service}/Put",
                new PutRequest
                {
                    Key = B("k"),
                    Value = B("v"),
                    ReturnPrevious = true,
                });
            Assert.Equal((true, "10.0.0.7:7001"), (put.Success, put.LeaderHint));
            DeleteResponse delete = await server.CallAsync<DeleteResponse>($"/{service}/Delete", new DeleteRequest { Key = B("k") });
            Assert.Equal((true, "10.0.0.7:7001"), (delete.Success, delete.LeaderHint));
        }
    }

    [Fact]
    public async Task The_deadline_of_a_call_is_handed_to_the_node()
    {
        FakeNode node = new();
        long deadlineMs = -1;
        node.Intercept = operation =>
        {
            deadlineMs = operation.DeadlineMs;
            return false;
        };
        await using RunningServer server = await RunningServer.StartAsync(node);
        long beforeMs = node.MonotonicMs;
        await server.CallAsync<GetResponse>("/henge.v1.KVStore/Get", new GetRequest { Key = B("k") }, ("grpc-timeout", "7S"));
        Assert.InRange(deadlineMs, beforeMs + 7000, node.MonotonicMs + 7000);
        await server.CallAsync<GetResponse>("/henge.v1.KVStore/Get", new GetRequest { Key = B("k") });
        Assert.Equal(0, deadlineMs);
    }

    [Fact]
    public async Task History_that_is_gone_is_told_with_the_oldest_version_there_is()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        server.Node.OldestVersion = server.Node.Now;
        foreach (
            (string method, IMessage request) in new (string, IMessage)[]
            {
                ("Get", new GetRequest { Key = B("k"), Version = 5 }),
                ("Scan", new ScanRequest { Version = 5 }),
                ("Watch", new WatchRequest { StartVersion = 5 }),
            })
        {
            CallResult result = await server.CallAsync($"/henge.v1.KVStore/{method}", request);
            Assert.Equal(GrpcStatusCode.OutOfRange, result.Status);
            Assert.Contains(server.Node.OldestVersion.ToString(), result.Message);
            Assert.Equal("3", result.HengeError);
        }
    }

    [Fact]
    public async Task Malformed_messages_never_harm_anything_but_their_call()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        Random random = new(20261120);
        byte[] good = new PutRequest { Key = B("key"), Value = B("value"), TtlMs = 77, IfVersion = 9 }.ToByteArray();
        for (int i = 0; i < 300; i++)
        {
            byte[] bad = i % 2 == 0 ? [.. good] : new byte[random.Next(40)];
            if (i % 2 == 0)
            {
                bad[random.Next(bad.Length)] = (byte)random.Next(256);
                bad = bad[..random.Next(bad.Length + 1)];
            }
            else
            {
                random.NextBytes(bad);
            }

            CallResult result = await server.CallAsync("/henge.v1.KVStore/Put", RunningServer.Frame(bad));
            Assert.True(
                result.Status is GrpcStatusCode.Ok or GrpcStatusCode.InvalidArgument,
                $"{Convert.ToHexString(bad)}: {result.Status} {result.Message}");
        }

        await server.CallAsync<PutResponse>("/henge.v1.KVStore/Put", new PutRequest { Key = B("k") });
    }
}
