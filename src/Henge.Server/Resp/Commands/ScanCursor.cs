using System.Numerics;
using Henge.Core;
using Henge.Server.Operations;

namespace Henge.Server.Resp.Commands;

/// <summary>Finds keys by their beginning, as of one version.</summary>
internal interface IKeyBounds
{
    /// <summary>The first key that begins with a prefix; null: there is none.</summary>
    ValueTask<byte[]?> FirstAsync(byte[] prefix);

    /// <summary>The last key that begins with a prefix; null: there is none.</summary>
    ValueTask<byte[]?> LastAsync(byte[] prefix);
}

/// <summary>
/// Cursors of SCAN: numbers that carry a position in the order of keys, and nothing else. Valid on every node, after a restart, and with
/// any pattern; the server remembers nothing (decision 0145). Pure functions.
/// </summary>
/// <remarks>
/// A number has no room for a key. It lists the bytes of the position at those depths at which keys branch, with their depths; the bytes
/// between are those that all keys there had in common. When keys have come or gone since, the bytes between are taken from the smallest
/// key that is there, so the position found is never behind a key that was there the whole time: keys can come twice, as in Redis, but none
/// is missed. Layout, from the highest bit: 1, format 0, 1 when the position is behind all keys with the path, then levels: how many bytes
/// were in common, and the byte at which keys branch.
/// </remarks>
internal static class ScanCursor
{
    /// <summary>Bits of a cursor that every client carries whole: some keep numbers as 64-bit floating point.</summary>
    public const int UsualBits = 53;

    /// <summary>Bits of a cursor when keys are too much alike for fewer: a positive signed number.</summary>
    public const int MostBits = 63;

    private const int HeadBits = 3;

    // Bytes that keys are mostly made of have short codes.
    private static ReadOnlySpan<byte> Digits => "0123456789abcdef"u8;

    private static ReadOnlySpan<byte> Common => "ghijklmnopqrstuvwxyz:/-_.{}@#,|="u8;

    /// <summary>
    /// The cursor for a scan that goes on at a key which is there. When the key has no room, the cursor stands behind all keys that begin
    /// with the run, which the key does, too: the caller gives those from the key on before it hands out the cursor.
    /// </summary>
    public static async ValueTask<(ulong Cursor, byte[]? Run)> EncodeAsync(byte[] next, IKeyBounds keys, int bits)
    {
        var writer = new BitWriter(bits - HeadBits);
        int known = 0;
        while (true)
        {
            byte[] prefix = next[..known];
            if (await keys.FirstAsync(prefix) is not { } first || first.AsSpan().SequenceEqual(next))
            {
                return (writer.Value | (4UL << writer.Count), null);
            }

            // All keys with the prefix share what the first and the last do.
            int branch = await keys.LastAsync(prefix) is { } last ? first.AsSpan().CommonPrefixLength(last) : known;
            if (branch >= next.Length || !writer.TryLevel(branch - known, next[branch]))
            {
                return (writer.Value | (5UL << writer.Count), prefix);
            }

            known = branch + 1;
        }
    }

    /// <summary>
    /// The first key, inclusive, at which a scan goes on; null: there is nothing behind the cursor. False for a number that is no cursor.
    /// </summary>
    public static async ValueTask<(bool IsCursor, byte[]? Lower)> DecodeAsync(ulong cursor, IKeyBounds keys)
    {
        int left = BitOperations.Log2(cursor) + 1 - HeadBits;
        if (left < 0 || (cursor >> left) is not (4 or 5))
        {
            return (false, null);
        }

        bool behind = (cursor >> left) == 5;
        var reader = new BitReader(cursor, left);
        byte[] position = [];
        bool placed = true;
        while (reader.Left > 0)
        {
            if (!reader.TryLevel(out int common, out byte value))
            {
                return (false, null);
            }

            if (!placed)
            {
                continue;
            }

            byte[] before = position;
            if (common > 0)
            {
                int depth = position.Length + common;
                byte[]? first = await keys.FirstAsync(position);
                if (first is null || first.Length < depth)
                {
                    // What it was about has gone: on from what there is. The rest is only looked at for being well formed.
                    (position, placed) = (first ?? position, false);
                    continue;
                }

                before = first[..depth];
            }

            position = [.. before, value];
        }

        return (true, !behind || !placed ? position : KeyRange.EndOfPrefix(position) is { Length: > 0 } end ? end : null);
    }

    private struct BitWriter(int room)
    {
        public ulong Value { get; private set; }

        public int Count { get; private set; }

        public bool TryLevel(int common, byte value)
        {
            (ulong Code, int Bits) depth = common switch
            {
                0 => (0, 1),
                <= 8 => ((2UL << 3) | (uint)(common - 1), 5),
                <= 72 => ((6UL << 6) | (uint)(common - 9), 9),
                <= 72 + 32_768 => ((7UL << 15) | (uint)(common - 73), 18),
                _ => (0, 64),
            };
            int digit = Digits.IndexOf(value),
                frequent = Common.IndexOf(value);
            (ulong Code, int Bits) symbol =
                digit >= 0 ? ((uint)digit, 5)
                : frequent >= 0 ? ((2UL << 5) | (uint)frequent, 7)
                : ((3UL << 8) | value, 10);
            int bits = depth.Bits + symbol.Bits;
            if (Count + bits > room)
            {
                return false;
            }

            Value = (((Value << depth.Bits) | depth.Code) << symbol.Bits) | symbol.Code;
            Count += bits;
            return true;
        }
    }

    private struct BitReader(ulong value, int left)
    {
        public int Left { get; private set; } = left;

        public bool TryLevel(out int common, out byte symbol)
        {
            symbol = 0;
            return TryCommon(out common) && TrySymbol(out symbol);
        }

        private bool TryCommon(out int common)
        {
            common = 0;
            (int Bits, int Least)[] classes = [(0, 0), (3, 1), (6, 9), (15, 73)];
            int kind = 0;
            for (; kind < 3; kind++)
            {
                if (!TryBits(1, out ulong more))
                {
                    return false;
                }

                if (more == 0)
                {
                    break;
                }
            }

            bool read = TryBits(classes[kind].Bits, out ulong rest);
            common = classes[kind].Least + (int)rest;
            return read;
        }

        private bool TrySymbol(out byte symbol)
        {
            symbol = 0;
            if (!TryBits(1, out ulong notDigit))
            {
                return false;
            }

            if (notDigit == 0)
            {
                bool read = TryBits(4, out ulong digit);
                symbol = Digits[(int)digit];
                return read;
            }

            if (!TryBits(1, out ulong rare) || !TryBits(rare == 0 ? 5 : 8, out ulong code))
            {
                return false;
            }

            symbol = rare == 0 ? Common[(int)code] : (byte)code;
            return true;
        }

        private bool TryBits(int count, out ulong bits)
        {
            bits = 0;
            if (count > Left)
            {
                return false;
            }

            Left -= count;
            bits = (value >> Left) & ((1UL << count) - 1);
            return true;
        }
    }
}
