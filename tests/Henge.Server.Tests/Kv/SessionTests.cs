using Google.Protobuf;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;
using Henge.Server.Tests.Fakes;
using Henge.Server.Tests.Grpc;
using StreamLimits = Henge.Server.Kv.StreamLimits;

namespace Henge.Server.Tests.Kv;

public sealed class SessionTests
{
    private const string Path = "/henge.v1.KVStore/Session";

    private static ByteString B(string text) => ByteString.CopyFromUtf8(text);

    private static SessionOperation Get(ulong id, string key) => new() { Id = id, Get = new GetRequest { Key = B(key) } };

    private static SessionOperation Put(ulong id, string key, string value) =>
        new()
        {
            Id = id,
            Put = new PutRequest { Key = B(key), Value = B(value) },
        };

    private static async Task<Dictionary<ulong, SessionResult>> ResultsAsync(OpenStream session, int count)
    {
        Dictionary<ulong, SessionResult> results = [];
        while (results.Count < count)
        {
            foreach (SessionResult result in (await session.ReadAsync<SessionResponse>()).Results)
            {
                results.Add(result.Id, result);
            }
        }

        return results;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Every_kind_of_operation_is_answered_under_its_id(bool inline)
    {
        await using RunningServer server = await RunningServer.StartAsync(new FakeNode { Inline = inline });
        await using OpenStream session = await OpenStream.OpenAsync(server, Path);
        await session.WriteAsync(new SessionRequest { Operations = { Put(1, "a", "x"), Put(2, "b", "y") } });
        Dictionary<ulong, SessionResult> puts = await ResultsAsync(session, 2);
        Assert.True(puts[1].Put.Success);
        await session.WriteAsync(new SessionRequest
        {
            Operations =
            {
                Get(10, "a"),
                Get(11, "missing"),
                new SessionOperation { Id = 12, Delete = new DeleteRequest { Key = B("b"), ReturnPrevious = true } },
                new SessionOperation { Id = 13,
                    Txn = new TxnRequest { Then = { new TxnOperation { Get = new GetRequest { Key = B("a") } } } } },
                new SessionOperation { Id = 14, Scan = new ScanRequest { Prefix = B("a") } },
                new SessionOperation { Id = 15, Scan = new ScanRequest { Prefix = B("a"), CountOnly = true } },
                new SessionOperation { Id = 16, Get = new GetRequest() },
                new SessionOperation { Id = 17 },
                new SessionOperation { Id = 18, Txn = new TxnRequest() },
                new SessionOperation { Id = 19, Scan = new ScanRequest { Continuation = B("?") } },
            },
        });
        Dictionary<ulong, SessionResult> results = await ResultsAsync(session, 10);
        Assert.Equal(B("x"), results[10].Get.Value);
        Assert.Equal(puts[1].Put.Version, results[10].Get.Version);
        Assert.False(results[11].Get.Found);
        Assert.Equal(B("y"), results[12].Delete.Previous.Value);
        Assert.Equal(B("x"), results[13].Txn.Results[0].Get.Value);
        Assert.Equal(B("x"), Assert.Single(results[14].Scan.Pairs).Value);
        Assert.Equal(1UL, results[15].Scan.Count);
        Assert.All(new ulong[] { 16, 17, 18, 19 }, id => Assert.Equal((uint)ErrorCode.InvalidArgument, results[id].Error.Code));

        session.Complete();
        Assert.Equal(GrpcStatusCode.Ok, (await session.EndAsync()).Status);
        Assert.Equal(0, server.Node.Pins);
    }

    [Fact]
    public async Task The_node_is_told_until_when_an_operation_may_take()
    {
        FakeNode node = new();
        Dictionary<string, long> leftMs = [];
        node.Intercept = operation =>
        {
            leftMs[System.Text.Encoding.UTF8.GetString(operation.Key.Span)] =
                operation.DeadlineMs == 0 ? 0 : operation.DeadlineMs - node.MonotonicMs;
            return false;
        };
        await using RunningServer server = await RunningServer.StartAsync(node);
        await using OpenStream session = await OpenStream.OpenAsync(server, Path);
        SessionOperation limited = Put(1, "limited", "v");
        limited.TimeoutMs = 1_000_000;
        await session.WriteAsync(new SessionRequest { Operations = { limited, Put(2, "unlimited", "v") } });
        await ResultsAsync(session, 2);
        Assert.InRange(leftMs["limited"], 900_000, 1_000_000);
        Assert.Equal(0, leftMs["unlimited"]);

        // Operations are used again, and must not keep what the last one was told.
        leftMs.Clear();
        await session.WriteAsync(new SessionRequest { Operations = { Put(3, "a", "v"), Put(4, "b", "v") } });
        await ResultsAsync(session, 2);
        Assert.All(leftMs.Values, static left => Assert.Equal(0, left));
    }

    [Fact]
    public async Task A_batch_reaches_the_node_as_one_group()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        await using OpenStream session = await OpenStream.OpenAsync(server, Path);
        await session.WriteAsync(new SessionRequest { Operations = { Enumerable.Range(0, 500).Select(i => Put((ulong)i, $"k{i}", "v")) } });
        await ResultsAsync(session, 500);
        Assert.Equal(500, server.Node.Submitted);
        Assert.Equal(1, server.Node.Groups);
    }

    [Fact]
    public async Task Many_operations_in_many_batches_all_come_back_right()
    {
        await using RunningServer server = await RunningServer.StartAsync(
            options: o => o with { Streams = new StreamLimits { SessionOperations = 37, SessionBytes = 4000 } });
        await using OpenStream session = await OpenStream.OpenAsync(server, Path);
        Random random = new(9);
        const int Count = 5000;
        Task<Dictionary<ulong, SessionResult>> reading = ResultsAsync(session, 2 * Count);
        for (int sent = 0; sent < Count;)
        {
            SessionRequest request = new();
            for (int n = random.Next(1, 200); n > 0 && sent < Count; n--, sent++)
            {
                request.Operations.Add(Put((ulong)sent, $"k{sent}", new string('v', random.Next(300))));
                request.Operations.Add(Get((ulong)(Count + sent), $"k{random.Next(sent + 1)}"));
            }

            await session.WriteAsync(request);
        }

        Dictionary<ulong, SessionResult> results = await reading.WaitAsync(RunningServer.Patience);
        Assert.All(results.Where(r => r.Key < Count), r => Assert.True(r.Value.Put.Success));
        Assert.All(results.Where(r => r.Key >= Count), r => Assert.NotNull(r.Value.Get));
        session.Complete();
        Assert.Equal(GrpcStatusCode.Ok, (await session.EndAsync()).Status);
        Assert.Equal(0, server.Node.Pins);
    }

    [Fact]
    public async Task A_session_takes_no_more_than_its_bound_until_something_is_answered()
    {
        FakeNode node = new();
        node.Intercept = node.Hold;
        await using RunningServer server = await RunningServer.StartAsync(
            node,
            o => o with { Streams = new StreamLimits { SessionOperations = 10 } });
        await using OpenStream session = await OpenStream.OpenAsync(server, Path);
        await session.WriteAsync(new SessionRequest { Operations = { Enumerable.Range(0, 100).Select(i => Get((ulong)i, $"k{i}")) } });
        await GrpcRulesTests.Until(() => node.Held == 10);
        await server.CallAsync<StatusResponse>("/henge.v1.KVStore/NodeStatus", new StatusRequest());
        Assert.Equal(10, node.Held);
        node.Intercept = null;
        node.ReleaseHeld();
        Assert.Equal(100, (await ResultsAsync(session, 100)).Count);
    }

    [Fact]
    public async Task An_operation_that_waits_does_not_hold_up_the_others()
    {
        FakeNode node = new();
        node.Intercept = operation => operation.Key.Span.SequenceEqual("slow"u8) && node.Hold(operation);
        await using RunningServer server = await RunningServer.StartAsync(node);
        await using OpenStream session = await OpenStream.OpenAsync(server, Path);
        await session.WriteAsync(new SessionRequest { Operations = { Get(1, "slow"), Get(2, "k") } });
        Assert.Equal(2UL, Assert.Single(await ResultsAsync(session, 1)).Key);
        session.Complete();
        node.ReleaseHeld();
        Assert.Equal(1UL, Assert.Single(await ResultsAsync(session, 1)).Key);
        Assert.Equal(GrpcStatusCode.Ok, (await session.EndAsync()).Status);
    }

    [Fact]
    public async Task A_caller_that_disappears_leaves_nothing_behind()
    {
        FakeNode node = new();
        node.Intercept = node.Hold;
        await using RunningServer server = await RunningServer.StartAsync(node);
        await using (OpenStream session = await OpenStream.OpenAsync(server, Path))
        {
            await session.WriteAsync(new SessionRequest { Operations = { Enumerable.Range(0, 50).Select(i => Get((ulong)i, $"k{i}")) } });
            await GrpcRulesTests.Until(() => node.Held == 50);
        }

        node.Intercept = null;
        node.ReleaseHeld();
        await server.CallAsync<PutResponse>("/henge.v1.KVStore/Put", new PutRequest { Key = B("k") });
        await GrpcRulesTests.Until(() => node.Pins == 0);
    }

    [Fact]
    public async Task Errors_of_the_node_come_as_results_with_the_leader()
    {
        FakeNode node = new();
        node.Intercept = operation =>
        {
            operation.Fail(ErrorCode.NotLeader, "Another node leads.", "10.0.0.9:7001");
            return true;
        };
        await using RunningServer server = await RunningServer.StartAsync(node);
        await using OpenStream session = await OpenStream.OpenAsync(server, Path);
        await session.WriteAsync(
            new SessionRequest
            {
                Operations =
                {
                    Get(1, "k"),
                    new SessionOperation { Id = 2, Scan = new ScanRequest() },
                },
            });
        Dictionary<ulong, SessionResult> results = await ResultsAsync(session, 2);
        Assert.All(
            results.Values,
            result =>
                Assert.Equal(
                    new Error
                    {
                        Code = 4,
                        Message = "Another node leads.",
                        LeaderHint = "10.0.0.9:7001",
                    },
                    result.Error));
    }

    [Fact]
    public async Task A_malformed_message_ends_the_stream_with_the_reason()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        await using OpenStream session = await OpenStream.OpenAsync(server, Path);
        await session.WriteAsync(RunningServer.Frame([10, 200, 1]));
        CallResult end = await session.EndAsync();
        Assert.Equal(GrpcStatusCode.InvalidArgument, end.Status);
        Assert.Equal(GrpcErrors.ToTrailer(ErrorCode.InvalidArgument), end.HengeError);
    }

    [Fact]
    public async Task Random_messages_never_harm_anything_but_their_stream()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        Random random = new(4);
        byte[] good = new SessionRequest { Operations = { Put(1, "key", "value"), Get(2, "key") } }.ToByteArray();
        for (int i = 0; i < 100; i++)
        {
            await using OpenStream session = await OpenStream.OpenAsync(server, Path);
            byte[] bad = [.. good];
            bad[random.Next(bad.Length)] = (byte)random.Next(256);
            await session.WriteAsync(RunningServer.Frame(bad.AsSpan(0, random.Next(bad.Length + 1))));
            session.Complete();
            CallResult end = await session.EndAsync();
            Assert.True(end.Status is GrpcStatusCode.Ok or GrpcStatusCode.InvalidArgument, $"{end.Status}: {end.Message}");
        }
    }

    [Fact]
    public async Task A_stopping_server_answers_what_is_under_way_and_ends_the_session()
    {
        FakeNode node = new();
        Operation? other = null;
        node.Intercept = operation =>
        {
            if (!operation.Key.Span.SequenceEqual("other"u8))
            {
                return node.Hold(operation);
            }

            Volatile.Write(ref other, operation);
            return true;
        };
        await using RunningServer server = await RunningServer.StartAsync(node);
        await using OpenStream session = await OpenStream.OpenAsync(server, Path);
        await session.WriteAsync(new SessionRequest { Operations = { Get(1, "k") } });
        await GrpcRulesTests.Until(() => node.Held == 1);

        // A call that lasts keeps the connection open: .NET's HTTP client throws away what it has not handed out yet of an answer whose
        // request has not ended, when the connection ends.
        Task<CallResult> lasting = server.CallAsync("/henge.v1.KVStore/Get", new GetRequest { Key = B("other") });
        await GrpcRulesTests.Until(() => Volatile.Read(ref other) is not null);
        Task stop = server.Server.StopAsync();
        node.ReleaseHeld();
        Assert.Single(await ResultsAsync(session, 1));
        CallResult end = await session.EndAsync();
        Assert.Equal(GrpcStatusCode.Unavailable, end.Status);
        Assert.Equal(((int)ErrorCode.Stopping).ToString(), end.HengeError);
        other!.Complete();
        Assert.Equal(GrpcStatusCode.Ok, (await lasting).Status);
        await stop.WaitAsync(RunningServer.Patience);
    }
}
