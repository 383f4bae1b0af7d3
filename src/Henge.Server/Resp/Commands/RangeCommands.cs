using System.Buffers;
using System.Numerics;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;
using Henge.Storage;

namespace Henge.Server.Resp.Commands;

/// <summary>Commands on parts of a value: ranges of bytes, and bits.</summary>
internal static class RangeCommands
{
    private const long MostBits = 1L << 32;
    private const string BadBitOffset = "ERR bit offset is not an integer or out of range";
    private static readonly (int, int, int) OneKey = (1, 1, 1);

    public static IEnumerable<RespCommand> All =>
        [
            new KeyReadCommand("getrange", 4, GetRange)
            {
                Wants = DataType.Bytes,
                Keys = OneKey,
                Check = CheckRange,
            },
            new KeyReadCommand("substr", 4, GetRange)
            {
                Wants = DataType.Bytes,
                Keys = OneKey,
                Check = CheckRange,
            },
            new WriteCommand("setrange", 4, EncodeSetRange, StringCommands.ReplyNumber) { Keys = OneKey },
            new KeyReadCommand("getbit", 3, GetBit)
            {
                Wants = DataType.Bytes,
                Keys = OneKey,
                Check = static a => TryBitOffset(a, 2, out _) ? null : BadBitOffset,
            },
            new WriteCommand("setbit", 4, EncodeSetBit, StringCommands.ReplyNumber) { Keys = OneKey },
            new KeyReadCommand("bitcount", -2, BitCount) { Wants = DataType.Bytes, Keys = OneKey },
        ];

    private static string? CheckRange(RespArguments arguments) =>
        arguments.TryInteger(2, out _) && arguments.TryInteger(3, out _) ? null : RespErrors.NotAnInteger;

    private static void GetRange(RespArguments arguments, IHengeNode node, FoundEntry found, RespWriter writer)
    {
        arguments.TryInteger(2, out long start);
        arguments.TryInteger(3, out long end);
        writer.Bulk(Clip(ref start, ref end, found.Value.Length) ? found.Value[(int)start..((int)end + 1)] : default);
    }

    // Redis's ranges: both ends are in it, negative ones count from the end, and what lies outside is cut off.
    private static bool Clip(ref long start, ref long end, long length)
    {
        if (start < 0 && end < 0 && start > end)
        {
            return false;
        }

        start = Math.Max(0, start < 0 ? start + length : start);
        end = Math.Min(length - 1, Math.Max(0, end < 0 ? end + length : end));
        return length > 0 && start <= end;
    }

    private static string? EncodeSetRange(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer)
    {
        if (!arguments.TryInteger(2, out long offset))
        {
            return RespErrors.NotAnInteger;
        }

        if (offset < 0)
        {
            return "ERR offset is out of range";
        }

        CommandEncoder.SetRange(writer, arguments.Span(1), offset, arguments.Span(3), node.Limits.ValueBytes);
        return null;
    }

    private static bool TryBitOffset(RespArguments arguments, int index, out long offset) =>
        arguments.TryInteger(index, out offset) && offset is >= 0 and < MostBits;

    private static void GetBit(RespArguments arguments, IHengeNode node, FoundEntry found, RespWriter writer)
    {
        TryBitOffset(arguments, 2, out long offset);
        long at = offset / 8;
        writer.Integer(at < found.Value.Length && (found.Value[(int)at] & (0x80 >> (int)(offset % 8))) != 0 ? 1 : 0);
    }

    private static string? EncodeSetBit(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer)
    {
        if (!TryBitOffset(arguments, 2, out long offset))
        {
            return BadBitOffset;
        }

        if (!arguments.TryInteger(3, out long bit) || bit is not (0 or 1))
        {
            return "ERR bit is not an integer or out of range";
        }

        CommandEncoder.SetBit(writer, arguments.Span(1), offset, bit == 1, node.Limits.ValueBytes);
        return null;
    }

    /// <summary>BITCOUNT key [start end [BYTE | BIT]].</summary>
    private static string? CheckBitCount(RespArguments arguments)
    {
        if (arguments.Count is 3 or > 5)
        {
            return RespErrors.Syntax;
        }

        if (arguments.Count >= 4 && !(arguments.TryInteger(2, out _) && arguments.TryInteger(3, out _)))
        {
            return RespErrors.NotAnInteger;
        }

        return arguments.Count == 5 && !arguments.Is(4, "BYTE"u8) && !arguments.Is(4, "BIT"u8) ? RespErrors.Syntax : null;
    }

    private static void BitCount(RespArguments arguments, IHengeNode node, FoundEntry found, RespWriter writer)
    {
        // As in Redis, a key that is not there or is no string comes before mistakes in what stands behind it.
        if (!found.Exists)
        {
            writer.Integer(0);
            return;
        }

        if (CheckBitCount(arguments) is { } error)
        {
            writer.Error(error);
            return;
        }

        bool bits = arguments.Count == 5 && arguments.Is(4, "BIT"u8);
        long start = 0, end = -1;
        if (arguments.Count >= 4)
        {
            arguments.TryInteger(2, out start);
            arguments.TryInteger(3, out end);
        }

        if (!Clip(ref start, ref end, bits ? found.Value.Length * 8L : found.Value.Length))
        {
            writer.Integer(0);
            return;
        }

        long first = bits ? start / 8 : start, last = bits ? end / 8 : end, count = 0;
        for (long i = first; i <= last; i++)
        {
            int value = found.Value[(int)i];
            if (bits)
            {
                value &= i == first ? 0xFF >> (int)(start % 8) : 0xFF;
                value &= i == last ? 0xFF << (7 - (int)(end % 8)) : 0xFF;
            }

            count += BitOperations.PopCount((uint)(value & 0xFF));
        }

        writer.Integer(count);
    }
}
