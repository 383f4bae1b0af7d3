using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Kv;
using Henge.Storage;

namespace Henge.Server.Resp.Commands;

/// <summary>Commands that walk over all keys: SCAN, KEYS, DBSIZE, RANDOMKEY; and MSET, whose keys may lie anywhere. Walks go page by page, as of one version.</summary>
internal static class KeySpaceCommands
{
    private const int KeysLimit = 1_000_000;
    private const int KeysBytesLimit = 64 * 1024 * 1024;

    public static IEnumerable<RespCommand> All =>
    [
        new SlowCommand("scan", -2, ScanCommand.RunAsync) { OnKeySpace = true },
        new SlowCommand("keys", 2, KeysAsync) { OnKeySpace = true },
        new SlowCommand("dbsize", 1, DbSizeAsync) { OnKeySpace = true },
        new SlowCommand("randomkey", 1, RandomKeyAsync) { OnKeySpace = true },
        new MSetCommand(),
    ];

    private static async ValueTask KeysAsync(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        byte[] pattern = arguments[1].ToArray(), prefix = Glob.LiteralPrefix(pattern);
        var found = new KeyCollector(pattern);
        string? error = await WalkAsync(connection, prefix, found, () => found.Keys.Count <= KeysLimit && found.Bytes <= KeysBytesLimit);
        if (error is null && (found.Keys.Count > KeysLimit || found.Bytes > KeysBytesLimit))
        {
            error = $"ERR more than {KeysLimit} keys or {KeysBytesLimit} bytes match; use SCAN, which answers page by page";
        }

        if (error is not null)
        {
            writer.Error(error);
        }
        else
        {
            KeyCollector.Write(found.Keys, writer);
        }
    }

    private static async ValueTask DbSizeAsync(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        var counter = new KeyCounter();
        if (await WalkAsync(connection, [], counter, static () => true) is { } error)
        {
            writer.Error(error);
        }
        else
        {
            writer.Integer(counter.Count);
        }
    }

    /// <summary>The first key at or after a random point of the key space: not evenly distributed, as in Redis, but cheap whatever the number of keys.</summary>
    private static async ValueTask RandomKeyAsync(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        Operation barrier = await BarrierAsync(connection);
        if (barrier.Error != ErrorCode.None)
        {
            writer.Error(RespErrors.Of(barrier.Error, barrier.ErrorMessage));
            return;
        }

        var found = new KeyCollector("*"u8.ToArray());
        byte[] point = RandomPoint(connection, barrier.Version);
        connection.Node.Scan(Query(barrier.Version, point, [], 1, connection.Node.Limits.ScanPageBytes), found);
        if (found.Keys.Count == 0)
        {
            connection.Node.Scan(Query(barrier.Version, [], [], 1, connection.Node.Limits.ScanPageBytes), found);
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
    private static byte[] RandomPoint(RespConnection connection, Core.Version version)
    {
        KeyCollector first = new("*"u8.ToArray()), last = new("*"u8.ToArray());
        ScanQuery query = Query(version, [], [], 1, connection.Node.Limits.ScanPageBytes);
        connection.Node.Scan(query, first);
        connection.Node.Scan(query with { Reverse = true }, last);
        if (first.Keys.Count == 0)
        {
            return [];
        }

        byte[] a = first.Keys[0], b = last.Keys[0], point = new byte[Math.Max(a.Length, b.Length)];
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

    private static async ValueTask<string?> WalkAsync(RespConnection connection, byte[] prefix, IScanReceiver receiver, Func<bool> goOn)
    {
        Operation barrier = await BarrierAsync(connection);
        if (barrier.Error != ErrorCode.None)
        {
            return RespErrors.Of(barrier.Error, barrier.ErrorMessage);
        }

        NodeLimits limits = connection.Node.Limits;
        Core.Version version = barrier.Version;
        byte[] lower = prefix, upper = KeyRange.EndOfPrefix(prefix);
        ScanEnd end;
        do
        {
            end = connection.Node.Scan(Query(version, lower, upper, limits.ScanPageItems, limits.ScanPageBytes), receiver);
            lower = end.NextKey ?? [];

            // A long walk must not keep a pool thread from others.
            await Task.Yield();
        }
        while (end.More && goOn() && !connection.Closed.IsCancellationRequested);
        return null;
    }

    private static ScanQuery Query(Core.Version version, byte[] lower, byte[] upper, int items, int bytes) =>
        new() { Version = version, Lower = lower, Upper = upper, KeysOnly = true, LimitItems = items, LimitBytes = bytes };

    private static ValueTask<Operation> BarrierAsync(RespConnection connection) =>
        connection.RunOneAsync(static o => (o.Kind, o.AllShards) = (OperationKind.Barrier, true));

    private sealed class KeyCounter : IScanReceiver
    {
        public long Count { get; private set; }

        public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs) => Count++;
    }
}
