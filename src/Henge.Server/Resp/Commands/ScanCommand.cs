using System.Globalization;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Operations;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;
using Henge.Storage;

namespace Henge.Server.Resp.Commands;

/// <summary>
/// SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]. Goes through the keys in their order; where it goes on is in the cursor (decision
/// 0145).
/// </summary>
internal static class ScanCommand
{
    // A type that Redis has, and no key here.
    private const DataType OtherType = (DataType)byte.MaxValue;
    private const int RunKeysLimit = 1_000_000;
    private const long RunBytesLimit = 64L * 1024 * 1024;

    /// <summary>One page, as of a version.</summary>
    public static async ValueTask RunAsync(
        RespConnection connection,
        RespArguments arguments,
        RespWriter writer,
        Core.Version version)
    {
        if (Parse(connection, arguments, out Request request) is { } error)
        {
            writer.Error(error);
            return;
        }

        var keys = new NodeKeys(connection.Node, version);
        byte[]? lower = [];
        if (request.Cursor != 0)
        {
            (bool isCursor, lower) = await ScanCursor.DecodeAsync(request.Cursor, keys);
            if (!isCursor)
            {
                writer.Error("ERR invalid cursor");
                return;
            }
        }

        var found = new KeyCollector(request.Pattern) { Type = request.Type };
        ulong cursor = 0;
        if (lower is not null && request.Type is not OtherType)
        {
            byte[] prefix = Glob.LiteralPrefix(request.Pattern);
            lower = lower.AsSpan().SequenceCompareTo(prefix) < 0 ? prefix : lower;
            (cursor, string? problem) =
                await PageAsync(connection.Node, keys, request.Count, lower, KeyRange.EndOfPrefix(prefix), found);
            if (problem is not null)
            {
                writer.Error(problem);
                return;
            }
        }

        writer.Array(2);
        writer.Bulk(cursor.ToString(CultureInfo.InvariantCulture));
        KeyCollector.Write(found.Keys, writer);
    }

    private static async ValueTask<(ulong Cursor, string? Problem)> PageAsync(
        IHengeNode node,
        NodeKeys keys,
        int count,
        byte[] lower,
        byte[] upper,
        KeyCollector found)
    {
        ScanEnd end = await keys.ScanAsync(lower, upper, count, found);
        if (!end.More || await keys.FirstInAsync(end.NextKey!, upper) is not { } next)
        {
            return (0, null);
        }

        // Keys that are too much alike for a short cursor: they are all given in this page.
        (ulong cursor, byte[]? run) = await ScanCursor.EncodeAsync(next, keys, ScanCursor.UsualBits);
        if (
            run is not null
            && (await keys.ScanAsync(next, End(run, upper), node.Limits.ScanPageItems, new KeyCollector(NoKey))).More)
        {
            (cursor, run) = await ScanCursor.EncodeAsync(next, keys, ScanCursor.MostBits);
        }

        long seen = 0;
        while (run is not null)
        {
            end = await keys.ScanAsync(next, End(run, upper), node.Limits.ScanPageItems, found);
            seen += end.Items;
            if (!end.More)
            {
                return (cursor, null);
            }

            if (seen > RunKeysLimit || found.Bytes > RunBytesLimit)
            {
                return (
                    0,
                    $"ERR more than {RunKeysLimit} keys or {RunBytesLimit} bytes of keys are too much alike for a cursor, which is a "
                        + $"number. Use a pattern with a longer beginning, or a scan by gRPC or REST");
            }

            next = end.NextKey!;
        }

        return (cursor, null);
    }

    private static byte[] NoKey => [];

    private static byte[] End(byte[] run, byte[] upper)
    {
        byte[] end = KeyRange.EndOfPrefix(run);
        return end.Length == 0 || (upper.Length > 0 && upper.AsSpan().SequenceCompareTo(end) < 0) ? upper : end;
    }

    private static string? Parse(RespConnection connection, RespArguments arguments, out Request request)
    {
        byte[] pattern = "*"u8.ToArray();
        int count = 10;
        DataType? type = null;
        request = default;
        if (!ulong.TryParse(arguments.Text(1), NumberStyles.None, CultureInfo.InvariantCulture, out ulong cursor))
        {
            return "ERR invalid cursor";
        }

        for (int i = 2; i < arguments.Count; i += 2)
        {
            if (i + 1 == arguments.Count)
            {
                return RespErrors.Syntax;
            }

            if (arguments.Is(i, "MATCH"u8))
            {
                pattern = arguments[i + 1].ToArray();
            }
            else if (arguments.Is(i, "COUNT"u8))
            {
                if (!arguments.TryInteger(i + 1, out long asked))
                {
                    return RespErrors.NotAnInteger;
                }

                if (asked < 1)
                {
                    return RespErrors.Syntax;
                }

                count = (int)Math.Min(asked, connection.Node.Limits.ScanPageItems);
            }
            else if (arguments.Is(i, "TYPE"u8))
            {
                type = arguments.Is(i + 1, "string"u8) ? DataType.Bytes : arguments.Is(i + 1, "hash"u8) ? DataType.Hash : OtherType;
            }
            else
            {
                return RespErrors.Syntax;
            }
        }

        request = new Request(cursor, pattern, count, type);
        return null;
    }

    private readonly record struct Request(ulong Cursor, byte[] Pattern, int Count, DataType? Type);

    /// <summary>The keys of a node as of one version.</summary>
    private sealed class NodeKeys(IHengeNode node, Core.Version version) : IKeyBounds
    {
        public ValueTask<byte[]?> FirstAsync(byte[] prefix) => OneAsync(prefix, KeyRange.EndOfPrefix(prefix), reverse: false);

        public ValueTask<byte[]?> LastAsync(byte[] prefix) => OneAsync(prefix, KeyRange.EndOfPrefix(prefix), reverse: true);

        public ValueTask<byte[]?> FirstInAsync(byte[] lower, byte[] upper) => OneAsync(lower, upper, reverse: false);

        public ValueTask<ScanEnd> ScanAsync(byte[] lower, byte[] upper, int items, IScanReceiver receiver) =>
            NodePages.ScanAsync(node, Query(lower, upper, items, reverse: false), receiver);

        private async ValueTask<byte[]?> OneAsync(byte[] lower, byte[] upper, bool reverse)
        {
            var found = new KeyCollector("*"u8.ToArray());
            await NodePages.ScanAsync(node, Query(lower, upper, 1, reverse), found);
            return found.Keys.Count > 0 ? found.Keys[0] : null;
        }

        private ScanQuery Query(byte[] lower, byte[] upper, int items, bool reverse) =>
            new()
            {
                Version = version,
                Lower = lower,
                Upper = upper,
                KeysOnly = true,
                Reverse = reverse,
                LimitItems = items,
                LimitBytes = node.Limits.ScanPageBytes,
            };
    }
}

/// <summary>Keeps the keys of a scan that match a pattern and hold a type. Not thread-safe.</summary>
internal sealed class KeyCollector(byte[] pattern) : IScanReceiver
{
    /// <summary>What the values must be; null: whatever they are.</summary>
    public DataType? Type { get; init; }

    /// <summary>The keys.</summary>
    public List<byte[]> Keys { get; } = [];

    /// <summary>Their bytes.</summary>
    public long Bytes { get; private set; }

    public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs)
    {
        if ((Type is not { } type || EntryType.Of(kind) == type) && Glob.Matches(pattern, key))
        {
            Keys.Add(key.ToArray());
            Bytes += key.Length;
        }
    }

    /// <summary>Replies with keys.</summary>
    public static void Write(List<byte[]> keys, RespWriter writer)
    {
        writer.Array(keys.Count);
        foreach (byte[] key in keys)
        {
            writer.Bulk(key);
        }
    }
}
