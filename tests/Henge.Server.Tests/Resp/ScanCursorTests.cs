using System.Net.Sockets;
using System.Text;
using Henge.Core;
using Henge.Server.Kv;
using Henge.Server.Operations;
using Henge.Server.Resp;
using Henge.Server.Resp.Commands;
using Henge.Server.Tests.Fakes;

namespace Henge.Server.Tests.Resp;

/// <summary>Cursors of SCAN carry a position that holds on every node, whatever happens to keys meanwhile (decision 0145).</summary>
public sealed class ScanCursorTests
{
    [Theory]
    [InlineData(1, "0123456789", 6, 0)]
    [InlineData(2, "01", 24, 0)]
    [InlineData(3, "ab", 9, 3)]
    [InlineData(4, "abc/:", 12, 3)]
    [InlineData(5, "\0\u00ff\u00fea", 6, 4)]
    [InlineData(6, "0123456789abcdef", 32, 1)]
    public async Task A_key_that_is_there_the_whole_time_is_given_whatever_comes_and_goes(
        int seed,
        string alphabet,
        int longest,
        int prefixes)
    {
        var random = new Random(seed);
        for (int round = 0; round < 60; round++)
        {
            var keys = new SortedKeys();
            int count = random.Next(1, 400);
            for (int i = 0; i < count; i++)
            {
                keys.All.Add(RandomKey(random, alphabet, longest, prefixes));
            }

            var steady = new SortedSet<byte[]>(keys.All, SortedKeys.Order);
            var given = new HashSet<string>();
            ulong cursor = 0;
            int pages = 0;
            do
            {
                cursor = await PageAsync(keys, cursor, random.Next(1, 12), random.Next(4) == 0 ? 20 : ScanCursor.UsualBits, given);
                for (int i = random.Next(0, 4); i > 0 && pages < 500; i--)
                {
                    byte[] key = RandomKey(random, alphabet, longest, prefixes);
                    if (random.Next(2) == 0)
                    {
                        keys.All.Add(key);
                    }
                    else
                    {
                        byte[] gone = keys.All.ElementAt(random.Next(keys.All.Count));
                        if (keys.All.Count > 1)
                        {
                            keys.All.Remove(gone);
                            steady.Remove(gone);
                        }
                    }
                }

                pages++;
                Assert.True(pages < 5_000, "the walk does not end");
            }
            while (cursor != 0);
            Assert.All(steady, key => Assert.Contains(Convert.ToHexString(key), given));
        }
    }

    [Fact]
    public async Task Without_changes_every_key_is_given_once()
    {
        var keys = new SortedKeys();
        for (int i = 0; i < 20_000; i++)
        {
            keys.All.Add(Encoding.ASCII.GetBytes($"user:{i:D8}:name"));
        }

        var given = new List<string>();
        ulong cursor = 0;
        do
        {
            cursor = await PageAsync(keys, cursor, 10, ScanCursor.UsualBits, given);
            Assert.True(cursor < 1UL << ScanCursor.UsualBits);
        }
        while (cursor != 0);
        Assert.Equal(keys.All.Select(Convert.ToHexString), given);
    }

    [Theory]
    [InlineData(1UL)]
    [InlineData(2UL)]
    [InlineData(3UL)]
    [InlineData(7UL)]
    [InlineData(0x49UL)]
    [InlineData(ulong.MaxValue)]
    public async Task A_number_that_is_no_cursor_is_refused(ulong number) =>
        Assert.False((await ScanCursor.DecodeAsync(number, new SortedKeys())).IsCursor);

    [Fact]
    public async Task A_cursor_goes_on_at_another_node_with_another_pattern_and_after_any_number_of_others()
    {
        var node = new FakeNode();
        await using RunningServer one = await RunningServer.StartAsync(node, protocols: [new RespProtocol(node)]);
        await using RunningServer two = await RunningServer.StartAsync(node, protocols: [new RespProtocol(node)]);
        await AskAsync(one, string.Concat(Enumerable.Range(100, 300).Select(static i => Command("SET", $"{{t}}k{i}", "v"))));
        (string cursor, string[] first) = await ScanAsync(one, "0", "*");
        for (int i = 0; i < 50; i++)
        {
            await ScanAsync(one, "0", "*");
        }

        var found = new List<string>(first);
        RunningServer[] nodes = [two, one];
        for (int page = 0; cursor != "0"; page++)
        {
            (cursor, string[] keys) = await ScanAsync(nodes[page % 2], cursor, page % 2 == 0 ? "{t}*" : "*");
            found.AddRange(keys);
        }

        Assert.Equal(Enumerable.Range(100, 300).Select(static i => $"{{t}}k{i}"), found);
    }

    private static async Task<ulong> PageAsync(SortedKeys keys, ulong cursor, int count, int bits, ICollection<string> given)
    {
        byte[]? lower = [];
        if (cursor != 0)
        {
            (bool isCursor, lower) = await ScanCursor.DecodeAsync(cursor, keys);
            Assert.True(isCursor);
        }

        if (lower is null)
        {
            return 0;
        }

        byte[][] from = [.. keys.From(lower)];
        foreach (byte[] key in from.Take(count))
        {
            given.Add(Convert.ToHexString(key));
        }

        if (from.Length <= count)
        {
            return 0;
        }

        (ulong next, byte[]? run) = await ScanCursor.EncodeAsync(from[count], keys, bits);
        foreach (byte[] key in run is null ? [] : from.Skip(count).TakeWhile(k => k.AsSpan().StartsWith(run)))
        {
            given.Add(Convert.ToHexString(key));
        }

        return next;
    }

    private static byte[] RandomKey(Random random, string alphabet, int longest, int prefixes)
    {
        string prefix = prefixes == 0 ? "" : new string(alphabet[0], 3 * random.Next(prefixes));
        int length = random.Next(prefixes == 0 ? longest : 0, longest + 1);
        return Encoding.Latin1.GetBytes(
            prefix + string.Concat(Enumerable.Range(0, length).Select(_ => alphabet[random.Next(alphabet.Length)])));
    }

    private static string Command(params string[] arguments) =>
        $"*{arguments.Length}\r\n" + string.Concat(arguments.Select(static a => $"${a.Length}\r\n{a}\r\n"));

    private static async Task<(string Cursor, string[] Keys)> ScanAsync(RunningServer server, string cursor, string pattern)
    {
        string[] lines = (await AskAsync(server, Command("SCAN", cursor, "COUNT", "7", "MATCH", pattern))).Split("\r\n");
        return (lines[2], [.. lines.Skip(4).Where((_, i) => i % 2 == 1)]);
    }

    private static async Task<string> AskAsync(RunningServer server, string request)
    {
        using var client = new TcpClient();
        using var patience = new CancellationTokenSource(RunningServer.Patience);
        await client.ConnectAsync("127.0.0.1", server.Server.EndPoint.Port, patience.Token);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(Encoding.Latin1.GetBytes(request), patience.Token);
        client.Client.Shutdown(SocketShutdown.Send);
        using var reader = new StreamReader(stream, Encoding.Latin1);
        return await reader.ReadToEndAsync(patience.Token);
    }

    private sealed class SortedKeys : IKeyBounds
    {
        public static IComparer<byte[]> Order { get; } = Comparer<byte[]>.Create(static (a, b) => a.AsSpan().SequenceCompareTo(b));

        public SortedSet<byte[]> All { get; } = new(Order);

        public ValueTask<byte[]?> FirstAsync(byte[] prefix) => ValueTask.FromResult(Range(prefix).Min);

        public ValueTask<byte[]?> LastAsync(byte[] prefix) => ValueTask.FromResult(Range(prefix).Max);

        public IEnumerable<byte[]> From(byte[] lower) =>
            All.Count == 0 || Order.Compare(lower, All.Max) > 0 ? [] : All.GetViewBetween(lower, All.Max);

        private SortedSet<byte[]> Range(byte[] prefix)
        {
            if (All.Count == 0)
            {
                return All;
            }

            byte[] end = KeyRange.EndOfPrefix(prefix), upper = [.. prefix, .. Enumerable.Repeat((byte)255, 300)];
            return end.Length == 0 && prefix.Length == 0 ? All : All.GetViewBetween(prefix, upper);
        }
    }
}
