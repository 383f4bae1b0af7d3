using System.Net.Http.Json;
using System.Text.Json;
using Google.Protobuf;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.V1;
using Henge.Server.Kv;
using Henge.Server.Operations;
using Henge.Server.Tests.Fakes;
using Henge.Storage;
using Henge.Testing;

namespace Henge.Server.Tests.Operations;

public sealed class RangeScanTests
{
    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task All_doors_give_the_same_pages(bool reverse, bool keysOnly)
    {
        await using RunningServer server = await RunningServer.StartAsync(
            new FakeNode { Limits = new NodeLimits { ScanPageItems = 4 } });
        for (int i = 0; i < 11; i++)
        {
            await server.CallAsync<PutResponse>(
                "/henge.v1.KVStore/Put",
                new PutRequest
                {
                    // A key and a value that are no text are among them.
                    Key = ByteString.CopyFrom([(byte)'k', (byte)(250 + (i % 6)), (byte)i]),
                    Value = ByteString.CopyFrom([0xFF, (byte)i]),
                    TtlMs = i == 3 ? 1_000_000_000u : 0,
                });
        }

        ulong version = (await server.CallAsync<ScanResponse>("/henge.v1.KVStore/Scan", new ScanRequest { CountOnly = true })).Version;
        string query = $"/v1/kv?prefix=k&limit=7&version={version}&reverse={(reverse ? 1 : 0)}&keysOnly={(keysOnly ? 1 : 0)}";
        ScanRequest request = new()
        {
            Prefix = ByteString.CopyFromUtf8("k"),
            Limit = 7,
            Version = version,
            Reverse = reverse,
            KeysOnly = keysOnly,
        };
        using HttpClient http = new() { BaseAddress = new Uri("http://" + server.Address), Timeout = RunningServer.Patience };
        List<int> pages = [];
        string more = "";
        while (true)
        {
            ScanResponse page = await server.CallAsync<ScanResponse>("/henge.v1.KVStore/Scan", request);
            JsonElement json = await http.GetFromJsonAsync<JsonElement>(query + more);
            Assert.Equal(page.Version, json.GetProperty("version").GetUInt64());
            Assert.Equal(page.Pairs.Select(Describe), json.GetProperty("pairs").EnumerateArray().Select(Describe));
            pages.Add(page.Pairs.Count);
            if (page.Continuation.IsEmpty)
            {
                Assert.False(json.TryGetProperty("continue", out _));
                break;
            }

            // A door takes what another one gave.
            more = "&continue=" + System.Buffers.Text.Base64Url.EncodeToString(page.Continuation.Span);
            Assert.Equal(more, "&continue=" + json.GetProperty("continue").GetString());
            request.Continuation = page.Continuation;
        }

        Assert.Equal([4, 4, 3], pages);
    }

    [Fact]
    public void An_entry_is_encoded_without_allocating()
    {
        Assert.Equal(Fewest(10), Fewest(1000));

        static long Fewest(int items)
        {
            // All that a page allocates is its continuation.
            RangeScan scan = RangeScan.Create(new EndlessNode(items), new ScanTerms { Version = new Core.Version(1UL << 40) });
            using ScanPages pages = new(scan, countOnly: false);
            for (int i = 0; i < 100; i++)
            {
                Read();
            }

            return Allocations.Fewest(Read);

            void Read() => Assert.True(pages.ReadAsync(CancellationToken.None).AsTask().IsCompletedSuccessfully);
        }
    }

    private static string Describe(KeyValue pair) =>
        $"{Convert.ToHexString(pair.Key.Span)}={Convert.ToHexString(pair.Value.Span)} {pair.Version} {pair.TtlRemainingMs}";

    private static string Describe(JsonElement pair) =>
        $"{Hex(pair, "key")}={Hex(pair, "value")} {pair.GetProperty("version")} "
        + (pair.TryGetProperty("ttlMs", out JsonElement left) ? left.ToString() : "0");

    private static string Hex(JsonElement pair, string name) =>
        pair.TryGetProperty(name + "Base64", out JsonElement encoded) ? Convert.ToHexString(encoded.GetBytesFromBase64())
        : pair.TryGetProperty(name, out JsonElement text) ? Convert.ToHexString(System.Text.Encoding.UTF8.GetBytes(text.GetString()!))
        : "";

    /// <summary>A node whose pages have so many entries, and all have another one behind them.</summary>
    private sealed class EndlessNode(int items) : IHengeNode
    {
        private static readonly byte[] Key = [1, 2, 3];
        private static readonly byte[] Value = new byte[64];

        public NodeLimits Limits { get; } = new();

        public long MonotonicMs => 0;

        public Core.Version Now => new(1UL << 40);

        public Core.Version OldestVersion => default;

        event Action? IHengeNode.TopologyChanged
        {
            add => throw new NotSupportedException();
            remove => throw new NotSupportedException();
        }

        public ScanEnd Scan(in ScanQuery query, IScanReceiver receiver)
        {
            for (int i = 0; i < items; i++)
            {
                receiver.OnItem(Key, Value, query.Version, EntryKind.PutExpiring, 1L << 40);
            }

            return new ScanEnd(items, true, Key);
        }

        public void Submit(Operation operation) => throw new NotSupportedException();

        public void Submit(ReadOnlySpan<Operation> operations) => throw new NotSupportedException();

        public bool TryRead(Operation get, out PinnedValue value) => throw new NotSupportedException();

        public ScanEnd History(ReadOnlyMemory<byte> key, Core.Version newest, int limit, IScanReceiver receiver) =>
            throw new NotSupportedException();

        public IWatch OpenWatch(WatchQuery query, Action onAvailable) => throw new NotSupportedException();

        public NodeStatus GetStatus() => throw new NotSupportedException();

        public Topology GetTopology() => throw new NotSupportedException();

        public void Join(Henge.Node.Api.JoinRequest request, long deadlineMs, Action<JoinAnswer?, HengeException?> answered) =>
            throw new NotSupportedException();

        public void Change(
            Henge.Node.Api.ClusterChange change,
            long deadlineMs,
            Action<Henge.Node.Api.ClusterChangeAnswer?, HengeException?> answered) =>
            throw new NotSupportedException();

        public Henge.Node.Api.IClusterRecovery Recovery => throw new NotSupportedException();

        public Henge.Node.Api.PlacementStatus GetPlacement() => throw new NotSupportedException();

        public void TransferLeader(ShardId shard, NodeId to) => throw new NotSupportedException();
    }
}
