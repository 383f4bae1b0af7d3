using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Operations;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;
using Henge.Storage;

namespace Henge.Server.Resp.Commands;

/// <summary>
/// Commands that walk over all keys: SCAN, KEYS, DBSIZE, RANDOMKEY; and MSET, whose keys may lie anywhere. Walks go page by page, as of one
/// version.
/// </summary>
internal static class KeySpaceCommands
{
    private const int KeysLimit = 1_000_000;
    private const int KeysBytesLimit = 64 * 1024 * 1024;

    public static IEnumerable<RespCommand> All =>
    [
        Walk("scan", -2, ScanCommand.RunAsync),
        Walk("keys", 2, KeysAsync),
        Walk("dbsize", 1, DbSizeAsync),
        Walk("randomkey", 1, RandomKeyAsync),
        new MSetCommand(),
    ];

    private static SlowCommand Walk(string name, int arity, SlowCommand.WalkHandler walk) => new(name, arity, async (connection, arguments,
        writer) =>
    {
        (Core.Version version, string? error) = await connection.NowAsync();
        if (error is not null)
        {
            writer.Error(error);
        }
        else
        {
            await walk(connection, arguments, writer, version);
        }
    })
    { OnKeySpace = true, Walk = walk };

    private static async ValueTask KeysAsync(RespConnection connection, RespArguments arguments, RespWriter writer, Core.Version version)
    {
        byte[] pattern = arguments[1].ToArray();
        var found = new KeyCollector(pattern);
        RangeScan scan = RangeScan.OfKeys(connection.Node, version, Glob.LiteralPrefix(pattern));
        do
        {
            await scan.ReadPageAsync(found);

            // A long walk must not keep a pool thread from others. It goes to its end: a client that has closed its sending side still
            // waits for the whole reply.
            await Task.Yield();
        }
        while (!scan.Ended && found.Keys.Count <= KeysLimit && found.Bytes <= KeysBytesLimit);
        if (found.Keys.Count > KeysLimit || found.Bytes > KeysBytesLimit)
        {
            writer.Error($"ERR more than {KeysLimit} keys or {KeysBytesLimit} bytes match; use SCAN, which answers page by page");
        }
        else
        {
            KeyCollector.Write(found.Keys, writer);
        }
    }

    private static async ValueTask DbSizeAsync(RespConnection connection, RespArguments arguments, RespWriter writer, Core.Version version)
    {
        RangeScan scan = RangeScan.OfKeys(connection.Node, version, default);
        writer.Integer((long)await scan.CountAsync(CancellationToken.None));
    }

    /// <summary>
    /// The first key at or after a random point of the key space: not evenly distributed, as in Redis, but cheap whatever the number of
    /// keys.
    /// </summary>
    private static async ValueTask RandomKeyAsync(
        RespConnection connection,
        RespArguments arguments,
        RespWriter writer,
        Core.Version version)
    {
        int bytes = connection.Node.Limits.ScanPageBytes;
        var found = new KeyCollector("*"u8.ToArray());
        byte[] point = await RandomPointAsync(connection, version);
        await NodePages.ScanAsync(connection.Node, Query(version, point, [], 1, bytes), found);
        if (found.Keys.Count == 0)
        {
            await NodePages.ScanAsync(connection.Node, Query(version, [], [], 1, bytes), found);
        }

        if (found.Keys.Count == 0)
        {
            writer.Null();
        }
        else
        {
            writer.Bulk(found.Keys[0]);
        }
    }

    // Between the first and the last key, so that the point does not fall beside all of them.
    private static async ValueTask<byte[]> RandomPointAsync(RespConnection connection, Core.Version version)
    {
        KeyCollector first = new("*"u8.ToArray()), last = new("*"u8.ToArray());
        ScanQuery query = Query(version, [], [], 1, connection.Node.Limits.ScanPageBytes);
        await NodePages.ScanAsync(connection.Node, query, first);
        await NodePages.ScanAsync(connection.Node, query with { Reverse = true }, last);
        return first.Keys.Count == 0 ? [] : RandomBetween(first.Keys[0], last.Keys[0]);
    }

    private static byte[] RandomBetween(byte[] a, byte[] b)
    {
        var point = new byte[Math.Max(a.Length, b.Length)];
        int common = a.AsSpan().CommonPrefixLength(b);
        Random.Shared.NextBytes(point);
        a.AsSpan(0, common).CopyTo(point);
        if (common < point.Length)
        {
            int low = common < a.Length ? a[common] : 0, high = common < b.Length ? b[common] : 255;
            point[common] = (byte)Random.Shared.Next(low, Math.Max(low, high) + 1);
        }

        return point;
    }

    private static ScanQuery Query(Core.Version version, byte[] lower, byte[] upper, int items, int bytes) =>
        new() { Version = version, Lower = lower, Upper = upper, KeysOnly = true, LimitItems = items, LimitBytes = bytes };
}
