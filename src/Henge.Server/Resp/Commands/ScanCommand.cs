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
    public static ValueTask RunAsync(RespConnection connection, RespArguments arguments, RespWriter writer, Core.Version version)
    {
        Run(connection, arguments, writer, version);
        return ValueTask.CompletedTask;
    }

    private static void Run(RespConnection connection, RespArguments arguments, RespWriter writer, Core.Version version)
    {
        if (Parse(connection, arguments, out Request request) is { } error)
        {
            writer.Error(error);
            return;
        }

        var keys = new NodeKeys(connection.Node, version);
        byte[]? lower = [];
        if (request.Cursor != 0 && !ScanCursor.TryDecode(request.Cursor, keys, out lower))
        {
            writer.Error("ERR invalid cursor");
            return;
        }

        var found = new KeyCollector(request.Pattern) { Type = request.Type };
        ulong cursor = 0;
        if (lower is not null && request.Type is not OtherType)
        {
            byte[] prefix = Glob.LiteralPrefix(request.Pattern);
            lower = lower.AsSpan().SequenceCompareTo(prefix) < 0 ? prefix : lower;
            if (Page(connection.Node, keys, request.Count, lower, KeyRange.EndOfPrefix(prefix), found, out cursor) is { } problem)
            {
                writer.Error(problem);
                return;
            }
        }

        writer.Array(2);
        writer.Bulk(cursor.ToString(CultureInfo.InvariantCulture));
        KeyCollector.Write(found.Keys, writer);
    }

    private static string? Page(IHengeNode node, NodeKeys keys, int count, byte[] lower, byte[] upper, KeyCollector found, out ulong cursor)
    {
        cursor = 0;
        ScanEnd end = keys.Scan(lower, upper, count, found);
        if (!end.More || keys.FirstIn(end.NextKey!, upper) is not { } next)
        {
            return null;
        }

        // Keys that are too much alike for a short cursor: they are all given in this page.
        cursor = ScanCursor.Encode(next, keys, ScanCursor.UsualBits, out byte[]? run);
        if (run is not null && keys.Scan(next, End(run, upper), node.Limits.ScanPageItems, new KeyCollector(NoKey)).More)
        {
            cursor = ScanCursor.Encode(next, keys, ScanCursor.MostBits, out run);
        }

        long seen = 0;
        while (run is not null)
        {
            end = keys.Scan(next, End(run, upper), node.Limits.ScanPageItems, found);
            seen += end.Items;
            if (!end.More)
            {
                return null;
            }

            if (seen > RunKeysLimit || found.Bytes > RunBytesLimit)
            {
                return $"ERR more than {RunKeysLimit} keys or {RunBytesLimit} bytes of keys are too much alike for a cursor, which is a "
                    + $"number. Use a pattern with a longer beginning, or a scan by gRPC or REST";
            }

            next = end.NextKey!;
        }

        return null;
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
        public byte[]? First(byte[] prefix) => One(prefix, KeyRange.EndOfPrefix(prefix), reverse: false);

        public byte[]? Last(byte[] prefix) => One(prefix, KeyRange.EndOfPrefix(prefix), reverse: true);

        public byte[]? FirstIn(byte[] lower, byte[] upper) => One(lower, upper, reverse: false);

        public ScanEnd Scan(byte[] lower, byte[] upper, int items, IScanReceiver receiver) =>
            node.Scan(Query(lower, upper, items, reverse: false), receiver);

        private byte[]? One(byte[] lower, byte[] upper, bool reverse)
        {
            var found = new KeyCollector("*"u8.ToArray());
            node.Scan(Query(lower, upper, 1, reverse), found);
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
