using System.Text;
using Henge.Server.Tests.Fakes;
using Henge.Server.Thrift;
using Henge.Thrift.Generated;

namespace Henge.Server.Tests.Thrift;

/// <summary>Each call of the Thrift door, by the library's own client, in both encodings.</summary>
public sealed class ThriftDoorTests
{
    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task What_is_put_is_got_and_deleted(ThriftEncoding encoding) => await RunAsync(encoding, async calls =>
    {
        GetResult none = await calls.getAsync(new GetRequest { Key = B("k") });
        Assert.Equal((false, 0L), (none.Found, none.Version));
        PutResult put = await calls.putAsync(new PutRequest { Key = B("k"), Value = [0, 255, 10, 13] });
        Assert.True(put.Success);
        Assert.Null(put.Previous);
        GetResult got = await calls.getAsync(new GetRequest { Key = B("k") });
        Assert.True(got.Found);
        Assert.Equal([0, 255, 10, 13], got.Value);
        Assert.Equal((put.Version, 0L, DataType.BYTES), (got.Version, got.TtlRemainingMs, got.Type));
        DeleteResult deleted = await calls.removeAsync(new DeleteRequest { Key = B("k"), ReturnPrevious = true });
        Assert.True(deleted.Success);
        Assert.Equal([0, 255, 10, 13], deleted.Previous!.Value);
        Assert.False((await calls.removeAsync(new DeleteRequest { Key = B("k") })).Success);
        GetResult then = await calls.getAsync(new GetRequest { Key = B("k"), Version = put.Version });
        Assert.Equal([0, 255, 10, 13], then.Value);

        // The empty key is a key, and the empty value a value.
        await calls.putAsync(new PutRequest { Key = [], Value = [] });
        GetResult empty = await calls.getAsync(new GetRequest { Key = [], Consistency = Consistency.STALE });
        Assert.True(empty.Found);
        Assert.Empty(empty.Value!);
    });

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task Writes_have_conditions_and_times_to_live(ThriftEncoding encoding) => await RunAsync(encoding, async calls =>
    {
        PutResult first = await calls.putAsync(new PutRequest { Key = B("k"), Value = B("1"), IfVersion = 0, TtlMs = 600_000 });
        Assert.True(first.Success);
        PutResult second = await calls.putAsync(
            new PutRequest { Key = B("k"), Value = B("2"), IfVersion = 0, ReturnPrevious = true });
        Assert.Equal((false, first.Version), (second.Success, second.Version));
        Assert.Equal("1", T(second.Previous!.Value));
        Assert.InRange(second.Previous.TtlRemainingMs, 1, 600_000);
        Assert.InRange((await calls.getAsync(new GetRequest { Key = B("k") })).TtlRemainingMs, 1, 600_000);
        PutResult third = await calls.putAsync(
            new PutRequest { Key = B("k"), Value = B("3"), IfVersion = first.Version, KeepTtl = true });
        Assert.True(third.Success);
        Assert.InRange((await calls.getAsync(new GetRequest { Key = B("k") })).TtlRemainingMs, 1, 600_000);
        await calls.putAsync(new PutRequest { Key = B("k"), Value = B("4"), TtlSecs = 3_600 });
        Assert.InRange((await calls.getAsync(new GetRequest { Key = B("k") })).TtlRemainingMs, 600_001, 3_600_000);
        DeleteResult refused = await calls.removeAsync(new DeleteRequest { Key = B("k"), IfVersion = first.Version });
        Assert.Equal((false, true), (refused.Success, refused.ConditionFailed));
    });

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task A_range_is_read_in_pages_as_of_one_version(ThriftEncoding encoding) => await RunAsync(encoding, async calls =>
    {
        for (int i = 0; i < 25; i++)
        {
            await calls.putAsync(new PutRequest { Key = B($"s/{i:D2}"), Value = B($"v{i}") });
        }

        List<string> keys = [];
        ScanPage page = await calls.scanAsync(new ScanRequest { Prefix = B("s/"), Limit = 10 });
        long version = page.Version;
        keys.AddRange(page.Pairs!.Select(static p => T(p.Key)));
        await calls.putAsync(new PutRequest { Key = B("s/24x"), Value = B("later") });
        while (page.Continuation!.Length > 0)
        {
            page = await calls.scanAsync(new ScanRequest { Prefix = B("s/"), Limit = 10, Continuation = page.Continuation });
            Assert.Equal(version, page.Version);
            keys.AddRange(page.Pairs!.Select(static p => T(p.Key)));
        }

        Assert.Equal(Enumerable.Range(0, 25).Select(static i => $"s/{i:D2}"), keys);
        page = await calls.scanAsync(new ScanRequest { StartKey = B("s/03"), EndKey = B("s/06"), Reverse = true });
        Assert.Equal(["s/05", "s/04", "s/03"], page.Pairs!.Select(static p => T(p.Key)));
        Assert.Equal(["v5", "v4", "v3"], page.Pairs!.Select(static p => T(p.Value)));
        page = await calls.scanAsync(new ScanRequest { Prefix = B("s/0"), KeysOnly = true });
        Assert.All(page.Pairs!, static p => Assert.Empty(p.Value!));
        page = await calls.scanAsync(new ScanRequest { Prefix = B("s/"), CountOnly = true });
        Assert.Equal((26L, 0), (page.Count, page.Pairs!.Count));
        page = await calls.scanAsync(new ScanRequest { Prefix = B("s/"), CountOnly = true, Version = version });
        Assert.Equal(25L, page.Count);
    });

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task Several_keys_go_together_and_each_has_an_outcome(ThriftEncoding encoding)
    {
        FakeNode node = new();
        await RunAsync(
            encoding,
            async calls =>
            {
                PutRequest[] puts = [.. Enumerable.Range(0, 20).Select(static i => new PutRequest { Key = B($"m{i}"), Value = B($"{i}") })];
                int before = node.Groups;
                List<PutOutcome> outcomes = await calls.multiPutAsync([.. puts]);
                Assert.Equal(before + 1, node.Groups);
                Assert.All(outcomes, static o => Assert.True(o.Result!.Success));
                before = node.Groups;
                List<GetResult> results = await calls.multiGetAsync(
                    new MultiGetRequest { Keys = [.. puts.Select(static p => p.Key!), B("none")] });
                Assert.Equal(before + 1, node.Groups);
                Assert.Equal(Enumerable.Range(0, 20).Select(static i => $"{i}").Append(""), results.Select(static r => T(r.Value)));
                Assert.False(results[20].Found);

                // One condition fails, one node is away, and the third is written all the same.
                node.Intercept = operation =>
                {
                    bool isAway = T(operation.Key.ToArray()) == "m1";
                    if (isAway)
                    {
                        operation.LeaderTerm = new Core.Term(9);
                        operation.Fail(Core.ErrorCode.Unavailable, "nobody is there", "127.0.0.1:9");
                    }

                    return isAway;
                };
                puts[0].IfVersion = 0;
                puts[2].Value = B("new");
                outcomes = await calls.multiPutAsync([.. puts[..3]]);
                node.Intercept = null;
                Assert.False(outcomes[0].Result!.Success);
                Assert.Null(outcomes[1].Result);
                Assert.Equal((ErrorCode.UNAVAILABLE, "nobody is there"), (outcomes[1].Failure!.Code, outcomes[1].Failure!.Message));
                Assert.Equal(("127.0.0.1:9", 9L), (outcomes[1].Failure!.LeaderHint, outcomes[1].Failure!.LeaderTerm));
                Assert.True(outcomes[2].Result!.Success);
                Assert.Equal("new", T((await calls.getAsync(new GetRequest { Key = B("m2") })).Value));

                // One that makes no sense keeps all from being done.
                await Assert.ThrowsAsync<InvalidArgument>(() => calls.multiPutAsync([puts[3], new PutRequest { Value = B("no key") }]));
                Assert.Equal("3", T((await calls.getAsync(new GetRequest { Key = B("m3") })).Value));
                Assert.Empty(await calls.multiPutAsync([]));
                Assert.Empty(await calls.multiGetAsync(new MultiGetRequest { Keys = [] }));
            },
            node);
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task Values_of_several_keys_are_bounded_together(ThriftEncoding encoding) => await RunAsync(
        encoding,
        async calls =>
        {
            await calls.putAsync(new PutRequest { Key = B("a"), Value = new byte[3_000] });
            await calls.putAsync(new PutRequest { Key = B("b"), Value = new byte[3_000] });
            Assert.Equal(2, (await calls.multiGetAsync(new MultiGetRequest { Keys = [B("a"), B("none")] })).Count);
            TooLarge error = await Assert.ThrowsAsync<TooLarge>(
                () => calls.multiGetAsync(new MultiGetRequest { Keys = [B("a"), B("b")] }));
            Assert.Contains("4096", error.Message, StringComparison.Ordinal);
        },
        new FakeNode { Limits = new Node.Api.NodeLimits { CommandBytes = 4_096 } });

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task The_branch_that_the_comparisons_choose_is_done(ThriftEncoding encoding) => await RunAsync(encoding, async calls =>
    {
        TxnRequest request = new()
        {
            Compare = [new Compare { Key = B("{a}1"), Exists = false }],
            Success =
            [
                new TxnOperation { Put = new PutRequest { Key = B("{a}1"), Value = B("x"), ReturnPrevious = true } },
                new TxnOperation { Get = new GetRequest { Key = B("{a}1") } },
                new TxnOperation { Remove = new DeleteRequest { Key = B("{a}2") } },
            ],
            Failure = [new TxnOperation { Get = new GetRequest { Key = B("{a}1") } }],
        };
        TxnResult first = await calls.txnAsync(request);
        Assert.True(first.Succeeded);
        Assert.Equal(3, first.Results!.Count);
        Assert.True(first.Results[0].Put!.Success);
        Assert.Null(first.Results[0].Put!.Previous);
        Assert.Equal(("x", first.Version), (T(first.Results[1].Get!.Value), first.Results[1].Get!.Version));
        Assert.False(first.Results[2].Remove!.Success);
        TxnResult second = await calls.txnAsync(request);
        Assert.False(second.Succeeded);
        Assert.Equal("x", T(Assert.Single(second.Results!).Get!.Value));
        TxnResult third = await calls.txnAsync(new TxnRequest
        {
            Compare =
            [
                new Compare { Key = B("{a}1"), Version = first.Version },
                new Compare { Key = B("{a}1"), Relation = Relation.LESS, Value = B("y") },
                new Compare { Key = B("{a}2"), Relation = Relation.NOT_EQUAL, Exists = true },
            ],
        });
        Assert.True(third.Succeeded);
    });

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task The_state_of_the_node_is_told(ThriftEncoding encoding) => await RunAsync(encoding, async calls =>
    {
        NodeStatus status = await calls.statusAsync();
        Assert.Equal(("node1", "leader", "node1", 3L), (status.NodeId, status.Role, status.LeaderId, status.Term));
        Assert.Equal((28L, 28L, "fake"), (status.CommittedIndex, status.AppliedIndex, status.ClusterId));
        Assert.Equal(["127.0.0.1:9"], status.Peers);
        Assert.Equal(4, status.Shards!.Count);
        Assert.Equal((3, "leader", 7L), (status.Shards[3].Shard, status.Shards[3].Role, status.Shards[3].LastVersion));
        Assert.NotEmpty(status.Version!);
    });

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task What_makes_no_sense_is_refused_with_words(ThriftEncoding encoding) => await RunAsync(encoding, async calls =>
    {
        TxnOperation both = new() { Get = new GetRequest { Key = B("k") }, Remove = new DeleteRequest { Key = B("k") } };
        TxnOperation put = new() { Put = new PutRequest { Key = B("k"), Value = B("v") } };
        (string Words, Func<Task> Call)[] wrong =
        [
            ("request is not set", () => calls.getAsync(null)),
            ("request is not set", () => calls.multiPutAsync(null)),
            ("key is not set", () => calls.getAsync(new GetRequest())),
            ("key is not set", () => calls.putAsync(new PutRequest { Value = B("v") })),
            ("key is not set", () => calls.removeAsync(new DeleteRequest())),
            ("list of keys is not set", () => calls.multiGetAsync(new MultiGetRequest())),
            ("version is -1", () => calls.getAsync(new GetRequest { Key = B("k"), Version = -1 })),
            ("largest version", () => calls.getAsync(new GetRequest { Key = B("k"), Version = long.MaxValue })),
            ("Both a version and a moment", () => calls.getAsync(new GetRequest { Key = B("k"), Version = 1, AtUnixMs = 1 })),
            ("no consistency 7", () => calls.getAsync(new GetRequest { Key = B("k"), Consistency = (Consistency)7 })),
            ("consistency is -1", () => calls.scanAsync(new ScanRequest { Consistency = (Consistency)(-1) })),
            ("ttl_ms is -5", () => calls.putAsync(new PutRequest { Key = B("k"), TtlMs = -5 })),
            ("ttl_secs is -5", () => calls.putAsync(new PutRequest { Key = B("k"), TtlSecs = -5 })),
            ("keep_ttl", () => calls.putAsync(new PutRequest { Key = B("k"), TtlMs = 5, KeepTtl = true })),
            ("if_version is -2", () => calls.putAsync(new PutRequest { Key = B("k"), IfVersion = -2 })),
            ("no type 9", () => calls.putAsync(new PutRequest { Key = B("k"), Type = (DataType)9 })),
            ("limit is -1", () => calls.scanAsync(new ScanRequest { Limit = -1 })),
            ("prefix and a range", () => calls.scanAsync(new ScanRequest { Prefix = B("a"), StartKey = B("b") })),
            ("not one that a scan gave", () => calls.scanAsync(new ScanRequest { Continuation = [1, 2, 3] })),
            ("is empty", () => calls.txnAsync(new TxnRequest())),
            ("one thing", () => calls.txnAsync(new TxnRequest { Success = [both] })),
            ("one thing", () => calls.txnAsync(new TxnRequest { Success = [new TxnOperation()] })),
            ("one thing", () => calls.txnAsync(new TxnRequest { Compare = [new Compare { Key = B("k") }], Success = [put] })),
            ("one thing", () => calls.txnAsync(new TxnRequest { Compare = [new Compare { Key = B("k"), Version = 1, Exists = true }] })),
            ("no relation 8", () => calls.txnAsync(
                new TxnRequest { Compare = [new Compare { Key = B("k"), Relation = (Relation)8, Exists = true }] })),
            ("Existence can be", () => calls.txnAsync(
                new TxnRequest { Compare = [new Compare { Key = B("k"), Relation = Relation.LESS, Exists = true }] })),
            ("reads now", () => calls.txnAsync(
                new TxnRequest { Failure = [new TxnOperation { Get = new GetRequest { Key = B("k"), Version = 5 } }] })),
            ("does not ask who you are", () => calls.authAsync(new Credentials { User = "root", Password = "x" })),
        ];
        foreach ((string words, Func<Task> call) in wrong)
        {
            InvalidArgument error = await Assert.ThrowsAsync<InvalidArgument>(call);
            Assert.Equal(ErrorCode.INVALID_ARGUMENT, error.Code);
            Assert.Contains(words, error.Message, StringComparison.Ordinal);
        }
    });

    private static byte[] B(string text) => Encoding.UTF8.GetBytes(text);

    private static string T(byte[]? bytes) => Encoding.UTF8.GetString(bytes ?? []);

    private static async Task RunAsync(ThriftEncoding encoding, Func<KVStore.Client, Task> test, FakeNode? node = null)
    {
        node ??= new FakeNode();
        await using RunningServer server = await RunningServer.StartAsync(node, protocols: ThriftProtocol.Both(node));
        using ThriftPeer peer = await ThriftPeer.OpenAsync(server.Server.EndPoint, encoding);
        await test(peer.Calls);
        Assert.Equal(0, node.Pins);
    }
}
