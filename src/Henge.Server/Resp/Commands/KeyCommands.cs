using System.Buffers;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;
using Henge.Storage;

namespace Henge.Server.Resp.Commands;

/// <summary>Commands on keys: DEL, EXISTS, EXPIRE, TTL and their kin.</summary>
internal static class KeyCommands
{
    private static readonly (int, int, int) OneKey = (1, 1, 1);
    private static readonly (int, int, int) AllKeys = (1, -1, 1);

    public static IEnumerable<RespCommand> All =>
        [
            new DeleteCommand("del") { Keys = AllKeys },
            new DeleteCommand("unlink") { Keys = AllKeys },
            new ReadCommand("exists", -2, static (_, found, _) => found.Exists ? 1 : 0) { AsSum = true, Keys = AllKeys },
            new ReadCommand(
                "type",
                2,
                static (_, found, writer) =>
                    Simple(
                        writer,
                        !found.Exists ? "none"
                            : found.Type == DataType.Hash ? "hash"
                            : "string"))
            {
                Keys = OneKey,
            },
            new ReadCommand("ttl", 2, static (node, found, writer) => Remaining(node, found, writer, 1000)) { Keys = OneKey },
            new ReadCommand("pttl", 2, static (node, found, writer) => Remaining(node, found, writer, 1)) { Keys = OneKey },
            new WriteCommand(
                "expire",
                -3,
                static (a, n, w) => EncodeExpire(a, n, w, "expire", 1000, relative: true),
                StringCommands.ReplyNumber)
            {
                Keys = OneKey,
            },
            new WriteCommand(
                "pexpire",
                -3,
                static (a, n, w) => EncodeExpire(a, n, w, "pexpire", 1, relative: true),
                StringCommands.ReplyNumber)
            {
                Keys = OneKey,
            },
            new WriteCommand(
                "expireat",
                -3,
                static (a, n, w) => EncodeExpire(a, n, w, "expireat", 1000, relative: false),
                StringCommands.ReplyNumber)
            {
                Keys = OneKey,
            },
            new WriteCommand(
                "pexpireat",
                -3,
                static (a, n, w) => EncodeExpire(a, n, w, "pexpireat", 1, relative: false),
                StringCommands.ReplyNumber)
            {
                Keys = OneKey,
            },
            new WriteCommand("persist", 2, EncodePersist, StringCommands.ReplyNumber) { Keys = OneKey },
        ];

    private static int Simple(RespWriter writer, string text)
    {
        writer.Simple(text);
        return 0;
    }

    /// <summary>-2: no such key; -1: it does not expire; else what is left, rounded as Redis does.</summary>
    private static int Remaining(IHengeNode node, FoundEntry found, RespWriter writer, long unitMs)
    {
        long leftMs = Math.Max(0, found.ExpiresAtMs - node.Now.Milliseconds);
        writer.Integer(!found.Exists ? -2 : found.ExpiresAtMs == 0 ? -1 : (leftMs + (unitMs / 2)) / unitMs);
        return 0;
    }

    /// <summary>EXPIRE key time [NX | XX | GT | LT]: a time that has passed deletes the key.</summary>
    private static string? EncodeExpire(
        RespArguments arguments,
        IHengeNode node,
        IBufferWriter<byte> writer,
        string name,
        long unitMs,
        bool relative)
    {
        if (!arguments.TryInteger(2, out long time))
        {
            return RespErrors.NotAnInteger;
        }

        ExpiryCondition condition = ExpiryCondition.None;
        for (int i = 3; i < arguments.Count; i++)
        {
            ExpiryCondition more =
                arguments.Is(i, "NX"u8) ? ExpiryCondition.IfNone
                : arguments.Is(i, "XX"u8) ? ExpiryCondition.IfSome
                : arguments.Is(i, "GT"u8) ? ExpiryCondition.IfLater
                : arguments.Is(i, "LT"u8) ? ExpiryCondition.IfEarlier
                : ExpiryCondition.None;
            if (more == ExpiryCondition.None)
            {
                return "ERR Unsupported option " + arguments.Text(i);
            }

            if (Combine(ref condition, more) is { } error)
            {
                return error;
            }
        }

        if (!ExpiryArgument.TryMake(time, unitMs, relative, ExpiryArgument.NowUnixMs(node), out Expiry expiry))
        {
            return RespErrors.InvalidExpiry(name);
        }

        CommandEncoder.SetExpiry(writer, arguments.Span(1), expiry, condition);
        return null;
    }

    // GT never holds for a key without expiry, so XX adds nothing to it. LT does hold for one, so XX LT would be a condition of its own.
    private static string? Combine(ref ExpiryCondition condition, ExpiryCondition more)
    {
        if (condition == ExpiryCondition.None || condition == more)
        {
            condition = more;
            return null;
        }

        switch (condition < more ? (condition, more) : (more, condition))
        {
            case (ExpiryCondition.IfSome, ExpiryCondition.IfLater):
                condition = ExpiryCondition.IfLater;
                return null;
            case (ExpiryCondition.IfSome, ExpiryCondition.IfEarlier):
                return "ERR XX and LT at the same time are not supported by Henge";
            case (ExpiryCondition.IfLater, ExpiryCondition.IfEarlier):
                return "ERR GT and LT options at the same time are not compatible";
            default:
                return "ERR NX and XX, GT or LT options at the same time are not compatible";
        }
    }

    private static string? EncodePersist(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer)
    {
        CommandEncoder.SetExpiry(writer, arguments.Span(1), Expiry.Never);
        return null;
    }
}
