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
/// RENAME, RENAMENX and COPY, whose two keys must lie on one shard (CROSSSLOT otherwise, as in Redis Cluster; decision 0150), and DELEX and
/// DIGEST.
/// </summary>
internal static class MoveCommands
{
    private static readonly (int, int, int) OneKey = (1, 1, 1);
    private static readonly (int, int, int) TwoKeys = (1, 2, 1);

    public static IEnumerable<RespCommand> All =>
        [
            new WriteCommand("rename", 3, static (a, n, w) => EncodeMove(a, n, w, ifAbsent: false), ReplyRename) { Keys = TwoKeys },
            new WriteCommand("renamenx", 3, static (a, n, w) => EncodeMove(a, n, w, ifAbsent: true), ReplyRenameNx) { Keys = TwoKeys },
            new WriteCommand("copy", -3, EncodeCopy, ReplyFound) { Keys = TwoKeys },
            new WriteCommand("delex", -2, EncodeDelEx, ReplyFound) { Keys = OneKey },
            new KeyReadCommand("digest", 2, Digest) { Wants = DataType.Bytes, Keys = OneKey },
        ];

    /// <summary>True for IFEQ, IFNE, IFDEQ and IFDNE.</summary>
    public static bool IsCondition(RespArguments arguments, int index) =>
        arguments.Is(index, "IFEQ"u8) || arguments.Is(index, "IFNE"u8) || arguments.Is(index, "IFDEQ"u8) || arguments.Is(index, "IFDNE"u8);

    private static void ReplyFound(RespArguments arguments, in CommandResult result, ReadOnlySpan<byte> payload, RespWriter writer) =>
        writer.Integer(result.Status == CommandStatus.Ok && result.Found ? 1 : 0);

    /// <summary>Reads IFEQ, IFNE, IFDEQ or IFDNE and what stands behind it; null and no condition when the word is none of them.</summary>
    public static string? ReadCondition(RespArguments arguments, int index, out PutCondition condition, out ReadOnlyMemory<byte> comparand)
    {
        condition =
            arguments.Is(index, "IFEQ"u8) ? PutCondition.IfValue
            : arguments.Is(index, "IFNE"u8) ? PutCondition.IfNotValue
            : arguments.Is(index, "IFDEQ"u8) ? PutCondition.IfDigest
            : arguments.Is(index, "IFDNE"u8) ? PutCondition.IfNotDigest
            : PutCondition.None;
        comparand = default;
        if (condition == PutCondition.None)
        {
            return null;
        }

        if (index + 1 >= arguments.Count)
        {
            return RespErrors.Syntax;
        }

        comparand = arguments[index + 1];
        if (condition is PutCondition.IfDigest or PutCondition.IfNotDigest)
        {
            if (
                comparand.Length != 16
                || !ulong.TryParse(comparand.Span, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong digest))
            {
                return "ERR must be exactly 16 hexadecimal characters";
            }

            comparand = ValueDigest.ToComparand(digest);
        }

        return null;
    }

    private static string? EncodeMove(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer, bool ifAbsent)
    {
        if (CrossSlot(arguments, node) is { } error)
        {
            return error;
        }

        CommandEncoder.Move(writer, arguments.Span(1), arguments.Span(2), ifAbsent);
        return null;
    }

    private static string? CrossSlot(RespArguments arguments, IHengeNode node)
    {
        var shards = new ShardMap(node.GetTopology().Shards.Count);
        return shards.ShardOf(arguments.Span(1)) != shards.ShardOf(arguments.Span(2)) ? RespErrors.CrossSlot : null;
    }

    private static void ReplyRename(RespArguments arguments, in CommandResult result, ReadOnlySpan<byte> payload, RespWriter writer)
    {
        if (result.Found)
        {
            writer.Ok();
        }
        else
        {
            writer.Error(RespErrors.NoSuchKey);
        }
    }

    private static void ReplyRenameNx(RespArguments arguments, in CommandResult result, ReadOnlySpan<byte> payload, RespWriter writer)
    {
        if (result.Found)
        {
            writer.Integer(result.Status == CommandStatus.Ok ? 1 : 0);
        }
        else
        {
            writer.Error(RespErrors.NoSuchKey);
        }
    }

    /// <summary>COPY source destination [DB 0] [REPLACE].</summary>
    private static string? EncodeCopy(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer)
    {
        bool replace = false;
        for (int i = 3; i < arguments.Count; i++)
        {
            if (arguments.Is(i, "REPLACE"u8))
            {
                replace = true;
            }
            else if (arguments.Is(i, "DB"u8) && i + 1 < arguments.Count)
            {
                if (!arguments.TryInteger(++i, out long index))
                {
                    return RespErrors.NotAnInteger;
                }

                if (index != 0)
                {
                    return "ERR DB index is out of range";
                }
            }
            else
            {
                return RespErrors.Syntax;
            }
        }

        if (arguments.Span(1).SequenceEqual(arguments.Span(2)))
        {
            return "ERR source and destination objects are the same";
        }

        if (CrossSlot(arguments, node) is { } error)
        {
            return error;
        }

        CommandEncoder.Move(writer, arguments.Span(1), arguments.Span(2), ifAbsent: !replace, copy: true);
        return null;
    }

    /// <summary>DELEX key [IFEQ value | IFNE value | IFDEQ digest | IFDNE digest], as in Redis 8.4.</summary>
    private static string? EncodeDelEx(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer)
    {
        if (arguments.Count == 2)
        {
            CommandEncoder.Delete(writer, arguments.Span(1));
            return null;
        }

        if (arguments.Count != 4)
        {
            return RespErrors.WrongArity("delex");
        }

        if (ReadCondition(arguments, 2, out PutCondition condition, out ReadOnlyMemory<byte> comparand) is { } error)
        {
            return error;
        }

        if (condition == PutCondition.None)
        {
            return "ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE";
        }

        CommandEncoder.DeleteIf(writer, arguments.Span(1), condition, comparand.Span);
        return null;
    }

    private static void Digest(RespArguments arguments, IHengeNode node, FoundEntry found, RespWriter writer)
    {
        if (found.Exists)
        {
            writer.Bulk(ValueDigest.Of(found.Value).ToString("x16", CultureInfo.InvariantCulture));
        }
        else
        {
            writer.Null();
        }
    }
}
