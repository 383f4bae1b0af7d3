using System.Buffers;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;
using Henge.Storage;

namespace Henge.Server.Resp.Commands;

/// <summary>Commands on the values of keys: GET, SET and their kin.</summary>
internal static class StringCommands
{
    private static readonly (int, int, int) OneKey = (1, 1, 1);

    public static IEnumerable<RespCommand> All =>
        [
            new ReadCommand("get", 2, BulkOrNull) { Wants = DataType.Bytes, Keys = OneKey },
            new ReadCommand("mget", -2, BulkOrNull)
            {
                Wants = DataType.Bytes,
                AsArray = true,
                Keys = (1, -1, 1),
            },
            new ReadCommand("strlen", 2, static (_, found, writer) => Integer(writer, found.Value.Length))
            {
                Wants = DataType.Bytes,
                Keys = OneKey,
            },
            new WriteCommand("set", -3, EncodeSet, ReplySet) { Keys = OneKey },
            new WriteCommand(
                "setnx",
                3,
                static (a, _, w) => Put(w, a.Span(1), a.Span(2), new PutOptions { Condition = PutCondition.IfAbsent }),
                ReplyOneIfDone)
            {
                Keys = OneKey,
            },
            new WriteCommand("setex", 4, static (a, n, w) => EncodeSetEx(a, n, w, 1000), ReplyOk) { Keys = OneKey },
            new WriteCommand("psetex", 4, static (a, n, w) => EncodeSetEx(a, n, w, 1), ReplyOk) { Keys = OneKey },
            new WriteCommand(
                "getset",
                3,
                static (a, _, w) => Put(w, a.Span(1), a.Span(2), new PutOptions { ReturnPrevious = true }),
                ReplyPrevious)
            {
                Keys = OneKey,
            },
            new WriteCommand("getdel", 2, EncodeGetDel, ReplyPrevious) { Keys = OneKey },
            new WriteCommand("getex", -2, EncodeGetEx, ReplyPrevious) { Keys = OneKey },
            new WriteCommand("append", 3, EncodeAppend, ReplyNumber) { Keys = OneKey },
            new WriteCommand("incr", 2, static (a, _, w) => Increment(w, a, 1), ReplyNumber) { Keys = OneKey },
            new WriteCommand("decr", 2, static (a, _, w) => Increment(w, a, -1), ReplyNumber) { Keys = OneKey },
            new WriteCommand(
                "incrby",
                3,
                static (a, _, w) => a.TryInteger(2, out long by) ? Increment(w, a, by) : RespErrors.NotAnInteger,
                ReplyNumber)
            {
                Keys = OneKey,
            },
            new WriteCommand("decrby", 3, EncodeDecrBy, ReplyNumber) { Keys = OneKey },
            new WriteCommand(
                "incrbyfloat",
                3,
                EncodeIncrByFloat,
                static (RespArguments _, in CommandResult _, ReadOnlySpan<byte> payload, RespWriter writer) => writer.Bulk(payload))
            {
                Keys = OneKey,
            },
            new WriteCommand("msetnx", -3, EncodeMSetNx, ReplyOneIfDone) { Keys = (1, -1, 2) },
        ];

    internal static void ReplyOk(RespArguments arguments, in CommandResult result, ReadOnlySpan<byte> payload, RespWriter writer) =>
        writer.Ok();

    internal static void ReplyNumber(RespArguments arguments, in CommandResult result, ReadOnlySpan<byte> payload, RespWriter writer) =>
        writer.Integer(result.Number);

    private static void ReplyOneIfDone(RespArguments arguments, in CommandResult result, ReadOnlySpan<byte> payload, RespWriter writer) =>
        writer.Integer(result.Status == CommandStatus.Ok ? 1 : 0);

    private static void ReplyPrevious(RespArguments arguments, in CommandResult result, ReadOnlySpan<byte> payload, RespWriter writer)
    {
        if (EntryView.TryRead(payload, out EntryView entry) && entry.Type != DataType.Bytes)
        {
            // GETEX without options reads; what writes is refused by the state machine.
            writer.Error(RespErrors.WrongType);
        }
        else if (EntryView.TryRead(payload, out entry))
        {
            writer.Bulk(entry.Value);
        }
        else
        {
            writer.Null();
        }
    }

    private static int BulkOrNull(IHengeNode node, FoundEntry found, RespWriter writer)
    {
        if (found.Exists)
        {
            writer.Bulk(found.Value);
        }
        else
        {
            writer.Null();
        }

        return 0;
    }

    private static int Integer(RespWriter writer, long value)
    {
        writer.Integer(value);
        return 0;
    }

    private static string? Put(IBufferWriter<byte> writer, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, in PutOptions options)
    {
        CommandEncoder.Put(writer, key, value, in options);
        return null;
    }

    private static string? Increment(IBufferWriter<byte> writer, RespArguments arguments, long by)
    {
        CommandEncoder.Increment(writer, arguments.Span(1), by);
        return null;
    }

    /// <summary>SET key value [NX|XX] [GET] [EX seconds | PX milliseconds | EXAT time | PXAT time | KEEPTTL].</summary>
    private static string? EncodeSet(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer)
    {
        if (arguments.Count == 3)
        {
            CommandEncoder.Put(writer, arguments.Span(1), arguments.Span(2));
            return null;
        }

        // As in Redis an option may stand there again; of two times of one unit the later one counts.
        PutCondition condition = PutCondition.None;
        ReadOnlyMemory<byte> comparand = default;
        Expiry expiry = Expiry.Never;
        int unit = 0;
        bool keep = false, get = false;
        for (int i = 3; i < arguments.Count; i++)
        {
            if (arguments.Is(i, "NX"u8) && (condition is PutCondition.None or PutCondition.IfAbsent))
            {
                condition = PutCondition.IfAbsent;
            }
            else if (arguments.Is(i, "XX"u8) && (condition is PutCondition.None or PutCondition.IfPresent))
            {
                condition = PutCondition.IfPresent;
            }
            else if (
                condition == PutCondition.None
                && MoveCommands.ReadCondition(arguments, i, out PutCondition onValue, out comparand) is var wrong
                && (wrong is not null || onValue != PutCondition.None))
            {
                if (wrong is not null)
                {
                    return wrong;
                }

                condition = onValue;
                i++;
            }
            else if (arguments.Is(i, "GET"u8))
            {
                get = true;
            }
            else if (arguments.Is(i, "KEEPTTL"u8) && unit == 0)
            {
                keep = true;
            }
            else if (keep || !ExpiryArgument.TryTake(arguments, ref i, ref unit))
            {
                return RespErrors.Syntax;
            }
        }

        if (unit > 0 && ExpiryArgument.Read(arguments, unit, "set", ExpiryArgument.NowUnixMs(node), out expiry) is { } error)
        {
            return error;
        }

        return Put(
            writer,
            arguments.Span(1),
            arguments.Span(2),
            new PutOptions
            {
                Condition = condition,
                Comparand = comparand,
                Expiry = expiry,
                KeepExpiry = keep,
                ReturnPrevious = get,
            });
    }

    private static void ReplySet(RespArguments arguments, in CommandResult result, ReadOnlySpan<byte> payload, RespWriter writer)
    {
        for (int i = 3; i < arguments.Count; i++)
        {
            if (MoveCommands.IsCondition(arguments, i))
            {
                // What stands behind it is a value, whatever it says.
                i++;
            }
            else if (arguments.Is(i, "GET"u8))
            {
                ReplyPrevious(arguments, in result, payload, writer);
                return;
            }
        }

        if (result.Status == CommandStatus.Ok)
        {
            writer.Ok();
        }
        else
        {
            writer.Null();
        }
    }

    private static string? EncodeSetEx(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer, long unitMs)
    {
        string name = unitMs == 1 ? "psetex" : "setex";
        if (!arguments.TryInteger(2, out long time))
        {
            return RespErrors.NotAnInteger;
        }

        return time <= 0 || !ExpiryArgument.TryMake(time, unitMs, relative: true, ExpiryArgument.NowUnixMs(node), out Expiry expiry)
            ? RespErrors.InvalidExpiry(name)
            : Put(writer, arguments.Span(1), arguments.Span(3), new PutOptions { Expiry = expiry });
    }

    private static string? EncodeGetDel(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer)
    {
        CommandEncoder.Delete(writer, arguments.Span(1), returnPrevious: true);
        return null;
    }

    /// <summary>GETEX key [EX seconds | PX milliseconds | EXAT time | PXAT time | PERSIST].</summary>
    private static string? EncodeGetEx(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer)
    {
        Expiry expiry = Expiry.Never;
        if (arguments.Count == 2)
        {
            CommandEncoder.Get(writer, arguments.Span(1));
            return null;
        }

        int unit = 0;
        bool persist = false;
        for (int i = 2; i < arguments.Count; i++)
        {
            if (arguments.Is(i, "PERSIST"u8) && unit == 0)
            {
                persist = true;
            }
            else if (persist || !ExpiryArgument.TryTake(arguments, ref i, ref unit))
            {
                return RespErrors.Syntax;
            }
        }

        if (unit > 0 && ExpiryArgument.Read(arguments, unit, "getex", ExpiryArgument.NowUnixMs(node), out expiry) is { } error)
        {
            return error;
        }

        CommandEncoder.SetExpiry(writer, arguments.Span(1), expiry, returnValue: true);
        return null;
    }

    private static string? EncodeAppend(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer)
    {
        CommandEncoder.Append(writer, arguments.Span(1), arguments.Span(2), node.Limits.ValueBytes);
        return null;
    }

    private static string? EncodeDecrBy(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer) =>
        !arguments.TryInteger(2, out long by) ? RespErrors.NotAnInteger
        : by == long.MinValue ? "ERR decrement would overflow"
        : Increment(writer, arguments, -by);

    private static string? EncodeIncrByFloat(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer)
    {
        if (IsInfinity(arguments.Span(2)))
        {
            return RespErrors.NotFinite;
        }

        try
        {
            CommandEncoder.IncrementFloat(writer, arguments.Span(1), arguments.Span(2));
            return null;
        }
        catch (HengeException)
        {
            return RespErrors.NotAFloat;
        }
    }

    internal static bool IsInfinity(ReadOnlySpan<byte> text) =>
        text.TrimStart("+-"u8) is var word && (Ascii.EqualsIgnoreCase(word, "inf"u8) || Ascii.EqualsIgnoreCase(word, "infinity"u8));

    private static string? EncodeMSetNx(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer)
    {
        if (Pairs(arguments) is not { } pairs)
        {
            return RespErrors.WrongArity("msetnx");
        }

        CommandEncoder.MultiPut(writer, pairs, ifAllAbsent: true);
        return null;
    }

    internal static KeyValuePair<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>>[]? Pairs(RespArguments arguments)
    {
        if (arguments.Count % 2 == 0)
        {
            return null;
        }

        var pairs = new KeyValuePair<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>>[arguments.Count / 2];
        for (int i = 0; i < pairs.Length; i++)
        {
            pairs[i] = new(arguments[1 + (2 * i)], arguments[2 + (2 * i)]);
        }

        return pairs;
    }
}
