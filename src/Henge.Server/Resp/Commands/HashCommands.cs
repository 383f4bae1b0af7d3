using System.Buffers;
using System.Globalization;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;
using Henge.Storage;

namespace Henge.Server.Resp.Commands;

/// <summary>
/// Commands on hashes. Each is one command of the state machine, or one read; a hash as a whole is bounded by the limit of values, as
/// decision 0148 says, so HSCAN answers all of it at once.
/// </summary>
internal static class HashCommands
{
    private const int MostRandomFields = 1_000_000;
    private static readonly (int, int, int) OneKey = (1, 1, 1);

    public static IEnumerable<RespCommand> All =>
        [
            new WriteCommand("hset", -4, static (a, n, w) => EncodeSet(a, n, w, "hset"), StringCommands.ReplyNumber) { Keys = OneKey },
            new WriteCommand("hmset", -4, static (a, n, w) => EncodeSet(a, n, w, "hmset"), StringCommands.ReplyOk) { Keys = OneKey },
            new WriteCommand(
                "hsetnx",
                4,
                EncodeSetNx,
                static (RespArguments _, in CommandResult result, ReadOnlySpan<byte> _, RespWriter writer) =>
                    writer.Integer(result.Status == CommandStatus.Ok ? 1 : 0))
            {
                Keys = OneKey,
            },
            new WriteCommand("hdel", -3, EncodeDelete, StringCommands.ReplyNumber) { Keys = OneKey },
            new WriteCommand("hincrby", 4, EncodeIncrement, StringCommands.ReplyNumber) { Keys = OneKey },
            new WriteCommand(
                "hincrbyfloat",
                4,
                EncodeIncrementFloat,
                static (RespArguments _, in CommandResult _, ReadOnlySpan<byte> payload, RespWriter writer) => writer.Bulk(payload))
            {
                Keys = OneKey,
            },
            Read("hget", 3, static (a, _, found, w) => WriteField(found, a.Span(2), w)),
            Read("hmget", -3, GetMany),
            Read("hgetall", 2, static (_, _, found, w) => WriteAll(found, w)),
            Read("hkeys", 2, static (_, _, found, w) => WriteHalves(found, w, keys: true)),
            Read("hvals", 2, static (_, _, found, w) => WriteHalves(found, w, keys: false)),
            Read("hlen", 2, static (_, _, found, w) => w.Integer(CountOf(found))),
            Read("hexists", 3, static (a, node, found, w) => w.Integer(TryGet(found, a.Span(2), out _) ? 1 : 0)),
            Read(
                "hstrlen",
                3,
                static (a, _, found, w) => w.Integer(TryGet(found, a.Span(2), out ReadOnlySpan<byte> value) ? value.Length : 0)),
            new KeyReadCommand("hscan", -3, Scan)
            {
                Wants = DataType.Hash,
                Keys = OneKey,
                Check = CheckCursor,
            },
            new KeyReadCommand("hrandfield", -2, RandomFields)
            {
                Wants = DataType.Hash,
                Keys = OneKey,
                Check = CheckRandom,
            },
        ];

    private static KeyReadCommand Read(string name, int arity, KeyReadCommand.Replier reply) =>
        new(name, arity, reply) { Wants = DataType.Hash, Keys = OneKey };

    private static string? EncodeSet(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer, string name)
    {
        if (arguments.Count % 2 != 0)
        {
            return RespErrors.WrongArity(name);
        }

        var fields = new KeyValuePair<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>>[(arguments.Count - 2) / 2];
        for (int i = 0; i < fields.Length; i++)
        {
            fields[i] = new(arguments[2 + (2 * i)], arguments[3 + (2 * i)]);
        }

        if (fields.Length > CommandLimits.MaxParts)
        {
            return $"ERR at most {CommandLimits.MaxParts} fields in one command";
        }

        CommandEncoder.HashSet(writer, arguments.Span(1), fields, node.Limits.ValueBytes);
        return null;
    }

    private static string? EncodeSetNx(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer)
    {
        CommandEncoder.HashSet(writer, arguments.Span(1), [new(arguments[2], arguments[3])], node.Limits.ValueBytes, ifAbsent: true);
        return null;
    }

    private static string? EncodeDelete(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer)
    {
        var fields = new ReadOnlyMemory<byte>[arguments.Count - 2];
        for (int i = 0; i < fields.Length; i++)
        {
            fields[i] = arguments[i + 2];
        }

        if (fields.Length > CommandLimits.MaxParts)
        {
            return $"ERR at most {CommandLimits.MaxParts} fields in one command";
        }

        CommandEncoder.HashDelete(writer, arguments.Span(1), fields);
        return null;
    }

    private static string? EncodeIncrement(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer)
    {
        if (!arguments.TryInteger(3, out long by))
        {
            return RespErrors.NotAnInteger;
        }

        CommandEncoder.HashIncrement(writer, arguments.Span(1), arguments.Span(2), by, node.Limits.ValueBytes);
        return null;
    }

    private static string? EncodeIncrementFloat(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer)
    {
        try
        {
            CommandEncoder.HashIncrementFloat(writer, arguments.Span(1), arguments.Span(2), arguments.Span(3), node.Limits.ValueBytes);
            return null;
        }
        catch (HengeException)
        {
            return StringCommands.IsInfinity(arguments.Span(3)) ? "ERR value is NaN or Infinity" : RespErrors.NotAFloat;
        }
    }

    private static bool TryGet(FoundEntry found, ReadOnlySpan<byte> field, out ReadOnlySpan<byte> value)
    {
        value = default;
        return found.Exists && HashReader.TryGet(found.Value, field, out value);
    }

    private static int CountOf(FoundEntry found) => found.Exists ? new HashReader(found.Value).Count : 0;

    private static void WriteField(FoundEntry found, ReadOnlySpan<byte> field, RespWriter writer)
    {
        if (TryGet(found, field, out ReadOnlySpan<byte> value))
        {
            writer.Bulk(value);
        }
        else
        {
            writer.Null();
        }
    }

    private static void GetMany(RespArguments arguments, IHengeNode node, FoundEntry found, RespWriter writer)
    {
        int fields = arguments.Count - 2;
        if (!found.Exists || (fields <= 16 && (long)fields * found.Value.Length <= RespErrors.MostReplyBytes))
        {
            writer.Array(fields);
            for (int i = 2; i < arguments.Count; i++)
            {
                WriteField(found, arguments.Span(i), writer);
            }

            return;
        }

        // Many fields of a large hash: one walk and a table, in place of a walk for each.
        var places = new Dictionary<FieldKey, (int Start, int Length)>();
        var reader = new HashReader(found.Value);
        byte[] whole = found.Value.ToArray();
        int end = 0;
        while (reader.MoveNext())
        {
            int field = Offset(found.Value, reader.Field, end), value = Offset(found.Value, reader.Value, field + reader.Field.Length);
            places[new FieldKey(whole.AsMemory(field, reader.Field.Length))] = (value, reader.Value.Length);
            end = value + reader.Value.Length;
        }

        // The same large field may be asked for again and again.
        long bytes = 0;
        for (int i = 2; i < arguments.Count; i++)
        {
            bytes += places.TryGetValue(new FieldKey(arguments[i]), out (int Start, int Length) place) ? place.Length : 0;
        }

        if (bytes > RespErrors.MostReplyBytes)
        {
            writer.Error(RespErrors.ReplyTooLarge("fields"));
            return;
        }

        writer.Array(fields);
        for (int i = 2; i < arguments.Count; i++)
        {
            if (places.TryGetValue(new FieldKey(arguments[i]), out (int Start, int Length) place))
            {
                writer.Bulk(whole.AsSpan(place.Start, place.Length));
            }
            else
            {
                writer.Null();
            }
        }
    }

    // Where a part lies in the whole; an empty one lies at the least place that it can.
    private static int Offset(ReadOnlySpan<byte> whole, ReadOnlySpan<byte> part, int least) =>
        part.IsEmpty || !whole.Overlaps(part, out int offset) ? least : offset;

    private static void WriteAll(FoundEntry found, RespWriter writer)
    {
        writer.Map(CountOf(found));
        WritePairs(found, writer);
    }

    private static void WritePairs(FoundEntry found, RespWriter writer)
    {
        if (!found.Exists)
        {
            return;
        }

        var reader = new HashReader(found.Value);
        while (reader.MoveNext())
        {
            writer.Bulk(reader.Field);
            writer.Bulk(reader.Value);
        }
    }

    private static void WriteHalves(FoundEntry found, RespWriter writer, bool keys)
    {
        writer.Array(CountOf(found));
        if (!found.Exists)
        {
            return;
        }

        var reader = new HashReader(found.Value);
        while (reader.MoveNext())
        {
            writer.Bulk(keys ? reader.Field : reader.Value);
        }
    }

    private static string? CheckCursor(RespArguments arguments) =>
        ulong.TryParse(arguments.Text(2), NumberStyles.None, CultureInfo.InvariantCulture, out _) ? null : "ERR invalid cursor";

    private static string? CheckScanOptions(RespArguments arguments)
    {
        for (int i = 3; i < arguments.Count; i += 2)
        {
            bool match = arguments.Is(i, "MATCH"u8), count = arguments.Is(i, "COUNT"u8);
            if (i + 1 == arguments.Count || !(match || count))
            {
                return RespErrors.Syntax;
            }

            if (count && !arguments.TryInteger(i + 1, out _))
            {
                return RespErrors.NotAnInteger;
            }

            if (count && arguments.TryInteger(i + 1, out long asked) && asked < 1)
            {
                return RespErrors.Syntax;
            }
        }

        return null;
    }

    /// <summary>
    /// HSCAN key cursor [MATCH pattern] [COUNT count]. As in Redis, mistakes in the options count only when there is a hash.
    /// </summary>
    private static void Scan(RespArguments arguments, IHengeNode node, FoundEntry found, RespWriter writer)
    {
        if (found.Exists && CheckScanOptions(arguments) is { } error)
        {
            writer.Error(error);
            return;
        }

        ReadOnlySpan<byte> pattern = "*"u8;
        for (int i = 3; i + 1 < arguments.Count; i += 2)
        {
            pattern = arguments.Is(i, "MATCH"u8) ? arguments.Span(i + 1) : pattern;
        }

        int count = 0;
        for (var reader = new HashReader(found.Value); found.Exists && reader.MoveNext();)
        {
            count += Glob.Matches(pattern, reader.Field) ? 1 : 0;
        }

        writer.Array(2);
        writer.Bulk("0"u8);
        writer.Array(count * 2);
        for (var reader = new HashReader(found.Value); found.Exists && reader.MoveNext();)
        {
            if (Glob.Matches(pattern, reader.Field))
            {
                writer.Bulk(reader.Field);
                writer.Bulk(reader.Value);
            }
        }
    }

    /// <summary>HRANDFIELD key [count [WITHVALUES]].</summary>
    private static string? CheckRandom(RespArguments arguments)
    {
        if (arguments.Count == 2)
        {
            return null;
        }

        if (!arguments.TryInteger(2, out long count))
        {
            return RespErrors.NotAnInteger;
        }

        if (count == long.MinValue)
        {
            return $"ERR value is out of range, value must between {-long.MaxValue} and {long.MaxValue}";
        }

        if (arguments.Count > 4 || (arguments.Count == 4 && !arguments.Is(3, "WITHVALUES"u8)))
        {
            return RespErrors.Syntax;
        }

        return count < -MostRandomFields ? "ERR value is out of range" : null;
    }

    private static void RandomFields(RespArguments arguments, IHengeNode node, FoundEntry found, RespWriter writer)
    {
        int total = CountOf(found);
        if (arguments.Count == 2)
        {
            if (total == 0)
            {
                writer.Null();
            }
            else
            {
                WriteChosen(found, [Random.Shared.Next(total)], writer, withValues: false, nested: false);
            }

            return;
        }

        arguments.TryInteger(2, out long count);
        bool withValues = arguments.Count == 4, nested = withValues && writer.Protocol == 3;
        int[] chosen = [.. Enumerable.Range(0, total)];
        if (count >= 0)
        {
            Random.Shared.Shuffle(chosen);
            chosen = chosen[..(int)Math.Min(count, total)];
        }
        else
        {
            chosen = total == 0 ? [] : [.. Enumerable.Range(0, (int)-count).Select(_ => Random.Shared.Next(total))];
        }

        if (count < 0 && BytesOf(found, chosen, withValues) > RespErrors.MostReplyBytes)
        {
            writer.Error(RespErrors.ReplyTooLarge("fields"));
            return;
        }

        writer.Array(withValues && !nested ? chosen.Length * 2 : chosen.Length);
        WriteChosen(found, chosen, writer, withValues, nested);
    }

    // Fields may come several times, so that a small command could ask for very much.
    private static long BytesOf(FoundEntry found, int[] chosen, bool withValues)
    {
        var lengths = new List<int>();
        for (var reader = new HashReader(found.Value); found.Exists && reader.MoveNext();)
        {
            lengths.Add(reader.Field.Length + (withValues ? reader.Value.Length : 0));
        }

        return chosen.Sum(i => (long)lengths[i]);
    }

    private static void WriteChosen(FoundEntry found, int[] chosen, RespWriter writer, bool withValues, bool nested)
    {
        var parts = new List<(int Field, int FieldLength, int Value, int ValueLength)>();
        int end = 0;
        for (var reader = new HashReader(found.Value); found.Exists && reader.MoveNext();)
        {
            int field = Offset(found.Value, reader.Field, end), value = Offset(found.Value, reader.Value, field + reader.Field.Length);
            parts.Add((field, reader.Field.Length, value, reader.Value.Length));
            end = value + reader.Value.Length;
        }

        foreach (int i in chosen)
        {
            if (nested)
            {
                writer.Array(2);
            }

            writer.Bulk(found.Value.Slice(parts[i].Field, parts[i].FieldLength));
            if (withValues)
            {
                writer.Bulk(found.Value.Slice(parts[i].Value, parts[i].ValueLength));
            }
        }
    }

    private readonly struct FieldKey(ReadOnlyMemory<byte> bytes) : IEquatable<FieldKey>
    {
        public bool Equals(FieldKey other) => other.Bytes.Span.SequenceEqual(Bytes.Span);

        public override bool Equals(object? obj) => obj is FieldKey other && Equals(other);

        public override int GetHashCode()
        {
            var hash = default(HashCode);
            hash.AddBytes(Bytes.Span);
            return hash.ToHashCode();
        }

        private ReadOnlyMemory<byte> Bytes { get; } = bytes;
    }
}
