using System.Text;
using Google.Protobuf;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;
using Henge.Server.Tests.Fakes;

namespace Henge.Server.Tests.Kv;

public sealed class ScanTests
{
    private static ByteString B(string text) => ByteString.CopyFromUtf8(text);

    private static async Task<RunningServer> StartAsync(int keys, NodeLimits? limits = null)
    {
        RunningServer server = await RunningServer.StartAsync(new FakeNode { Limits = limits ?? new NodeLimits() });
        for (int i = 0; i < keys; i++)
        {
            await server.CallAsync<PutResponse>("/henge.v1.KVStore/Put", new PutRequest { Key = B($"k{i:D3}"), Value = B($"value {i}") });
        }

        return server;
    }

    private static async Task<List<KeyValue>> AllPagesAsync(RunningServer server, ScanRequest request, List<int>? pages = null)
    {
        List<KeyValue> all = [];
        while (true)
        {
            ScanResponse page = await server.CallAsync<ScanResponse>("/henge.v1.KVStore/Scan", request);
            all.AddRange(page.Pairs);
            pages?.Add(page.Pairs.Count);
            if (page.Continuation.IsEmpty)
            {
                return all;
            }

            request.Continuation = page.Continuation;
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Pages_of_a_scan_join_without_gap_or_repetition(bool reverse)
    {
        await using RunningServer server = await StartAsync(25, new NodeLimits { ScanPageItems = 4 });
        List<int> pages = [];
        List<KeyValue> all = await AllPagesAsync(server, new ScanRequest { Prefix = B("k0"), Reverse = reverse }, pages);
        IEnumerable<string> expected = Enumerable.Range(0, 25).Select(i => $"k{i:D3}");
        Assert.Equal(reverse ? expected.Reverse() : expected, all.Select(pair => pair.Key.ToStringUtf8()));
        Assert.All(all, pair => Assert.Equal("value " + int.Parse(pair.Key.ToStringUtf8()[1..]), pair.Value.ToStringUtf8()));
        Assert.All(pages, count => Assert.InRange(count, 0, 4));
    }

    [Fact]
    public async Task Later_pages_are_of_the_first_pages_version()
    {
        await using RunningServer server = await StartAsync(6, new NodeLimits { ScanPageItems = 2 });
        ScanResponse first = await server.CallAsync<ScanResponse>("/henge.v1.KVStore/Scan", new ScanRequest());
        await server.CallAsync<PutResponse>("/henge.v1.KVStore/Put", new PutRequest { Key = B("k005"), Value = B("new") });
        await server.CallAsync<DeleteResponse>("/henge.v1.KVStore/Delete", new DeleteRequest { Key = B("k003") });
        List<KeyValue> rest = await AllPagesAsync(server, new ScanRequest { Continuation = first.Continuation });
        Assert.Equal(["value 2", "value 3", "value 4", "value 5"], rest.Select(pair => pair.Value.ToStringUtf8()));
    }

    [Fact]
    public async Task A_limit_ends_the_page_and_says_that_there_is_more()
    {
        await using RunningServer server = await StartAsync(5);
        ScanResponse page = await server.CallAsync<ScanResponse>("/henge.v1.KVStore/Scan", new ScanRequest { Limit = 2, KeysOnly = true });
        Assert.Equal(["k000", "k001"], page.Pairs.Select(pair => pair.Key.ToStringUtf8()));
        Assert.All(page.Pairs, pair => Assert.True(pair.Value.IsEmpty));
        Assert.False(page.Continuation.IsEmpty);
        Assert.NotEqual(0UL, page.Version);
    }

    [Fact]
    public async Task A_range_has_its_start_and_not_its_end()
    {
        await using RunningServer server = await StartAsync(5);
        List<KeyValue> all = await AllPagesAsync(server, new ScanRequest { StartKey = B("k001"), EndKey = B("k003") });
        Assert.Equal(["k001", "k002"], all.Select(pair => pair.Key.ToStringUtf8()));
    }

    [Fact]
    public async Task A_prefix_that_ends_with_ff_covers_all_that_begins_with_it()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        byte[][] keys = [[0xFE], [0xFF], [0xFF, 0xFF], [0xFF, 0xFF, 0x01]];
        foreach (byte[] key in keys)
        {
            await server.CallAsync<PutResponse>("/henge.v1.KVStore/Put", new PutRequest { Key = ByteString.CopyFrom(key) });
        }

        List<KeyValue> all = await AllPagesAsync(server, new ScanRequest { Prefix = ByteString.CopyFrom(0xFF) });
        Assert.Equal(keys[1..], all.Select(pair => pair.Key.ToByteArray()));
    }

    [Fact]
    public async Task Counting_costs_one_message_however_many_pages_there_are()
    {
        await using RunningServer server = await StartAsync(23, new NodeLimits { ScanPageItems = 3 });
        ScanResponse count = await server.CallAsync<ScanResponse>(
            "/henge.v1.KVStore/Scan",
            new ScanRequest { Prefix = B("k"), CountOnly = true });
        Assert.Equal(23UL, count.Count);
        Assert.Empty(count.Pairs);
        count = await server.CallAsync<ScanResponse>("/henge.v1.KVStore/Scan", new ScanRequest { CountOnly = true, Limit = 10 });
        Assert.Equal(10UL, count.Count);
    }

    [Fact]
    public async Task A_continuation_of_another_scan_is_refused()
    {
        await using RunningServer server = await StartAsync(5);
        ScanResponse page = await server.CallAsync<ScanResponse>("/henge.v1.KVStore/Scan", new ScanRequest { Prefix = B("k"), Limit = 2 });
        foreach (
            ScanRequest other in new[]
            {
                new ScanRequest { Prefix = B("k0") },
                new ScanRequest { Prefix = B("k"), Reverse = true },
                new ScanRequest { Prefix = B("k"), Version = 5 },
            })
        {
            other.Continuation = page.Continuation;
            CallResult result = await server.CallAsync("/henge.v1.KVStore/Scan", other);
            Assert.Equal(GrpcStatusCode.InvalidArgument, result.Status);
            Assert.Equal(GrpcErrors.ToTrailer(ErrorCode.InvalidArgument), result.HengeError);
        }
    }

    [Fact]
    public async Task Damaged_continuations_never_do_more_than_fail()
    {
        await using RunningServer server = await StartAsync(5);
        ScanResponse page = await server.CallAsync<ScanResponse>("/henge.v1.KVStore/Scan", new ScanRequest { Limit = 2 });
        Random random = new(5);
        for (int i = 0; i < 200; i++)
        {
            byte[] token = page.Continuation.ToByteArray();
            token[random.Next(token.Length)] ^= (byte)random.Next(1, 256);
            token = token[..random.Next(1, token.Length + 1)];
            CallResult result = await server.CallAsync(
                "/henge.v1.KVStore/Scan",
                new ScanRequest { Continuation = ByteString.CopyFrom(token) });

            // OutOfRange: a version that became one below the history that is kept.
            Assert.True(
                result.Status is GrpcStatusCode.Ok or GrpcStatusCode.InvalidArgument or GrpcStatusCode.OutOfRange,
                $"{result.Status}: {result.Message}");
        }
    }

    [Fact]
    public async Task A_stream_gives_all_pages()
    {
        await using RunningServer server = await StartAsync(25, new NodeLimits { ScanPageItems = 4 });
        CallResult result = await server.CallAsync("/henge.v1.KVStore/ScanStream", new ScanRequest { Limit = 22 });
        Assert.Equal(GrpcStatusCode.Ok, result.Status);
        List<ScanResponse> pages = result.All<ScanResponse>();
        Assert.Equal(6, pages.Count);
        Assert.Equal(22, pages.Sum(page => page.Pairs.Count));
        Assert.Single(pages.Select(page => page.Version).Distinct());
    }

    [Fact]
    public async Task A_page_stays_within_its_bytes_but_always_has_one_pair()
    {
        await using RunningServer server = await StartAsync(0, new NodeLimits { ScanPageBytes = 1000 });
        for (int i = 0; i < 4; i++)
        {
            await server.CallAsync<PutResponse>(
                "/henge.v1.KVStore/Put",
                new PutRequest { Key = B($"k{i}"), Value = ByteString.CopyFrom(new byte[i == 2 ? 5000 : 400]) });
        }

        List<int> pages = [];
        await AllPagesAsync(server, new ScanRequest(), pages);
        Assert.Equal([2, 1, 1], pages);
    }

    [Fact]
    public async Task History_tells_every_version_of_a_key()
    {
        await using RunningServer server = await StartAsync(0);
        List<ulong> versions = [];
        for (int i = 0; i < 3; i++)
        {
            versions.Insert(
                0,
                (await server.CallAsync<PutResponse>("/henge.v1.KVStore/Put", new PutRequest { Key = B("k"), Value = B($"{i}") })).Version);
        }

        DeleteResponse deleted = await server.CallAsync<DeleteResponse>("/henge.v1.KVStore/Delete", new DeleteRequest { Key = B("k") });
        HistoryResponse history = await server.CallAsync<HistoryResponse>("/henge.v1.KVStore/History", new HistoryRequest { Key = B("k") });
        Assert.Equal([deleted.Version, .. versions], history.Entries.Select(entry => entry.Version));
        Assert.Equal([true, false, false, false], history.Entries.Select(entry => entry.Deleted));
        Assert.Equal("210", string.Concat(history.Entries.Skip(1).Select(entry => entry.Value.ToStringUtf8())));
        Assert.False(history.More);

        history = await server.CallAsync<HistoryResponse>(
            "/henge.v1.KVStore/History",
            new HistoryRequest
            {
                Key = B("k"),
                Limit = 2,
                MaxVersion = versions[0],
            });
        Assert.Equal(versions[..2], history.Entries.Select(entry => entry.Version));
        Assert.True(history.More);
    }

    [Fact]
    public async Task A_history_of_large_values_stays_within_its_bytes()
    {
        await using RunningServer server = await StartAsync(0, new NodeLimits { ScanPageBytes = 10_000 });
        for (int i = 0; i < 5; i++)
        {
            await server.CallAsync<PutResponse>(
                "/henge.v1.KVStore/Put",
                new PutRequest { Key = B("k"), Value = ByteString.CopyFrom(Encoding.ASCII.GetBytes(new string('x', 4000))) });
        }

        HistoryResponse history = await server.CallAsync<HistoryResponse>("/henge.v1.KVStore/History", new HistoryRequest { Key = B("k") });
        Assert.Equal(2, history.Entries.Count);
        Assert.True(history.More);
    }
}
