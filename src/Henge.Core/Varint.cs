using System.Numerics;

namespace Henge.Core;

/// <summary>
/// Unsigned LEB128, as in Protocol Buffers: seven bits a byte, lowest first, the high bit says that more follow. Pure functions.
/// </summary>
public static class Varint
{
    /// <summary>The most bytes that a 64-bit number takes.</summary>
    public const int MaxBytes = 10;

    /// <summary>How many bytes a number takes.</summary>
    public static int Size(ulong value) => (int)((BitOperations.Log2(value | 1) + 7u) / 7u);

    /// <summary>Writes a number and returns how many bytes that took.</summary>
    public static int Write(Span<byte> destination, ulong value)
    {
        int i = 0;
        for (; value >= 0x80; value >>= 7)
        {
            destination[i++] = (byte)(value | 0x80);
        }

        destination[i++] = (byte)value;
        return i;
    }

    /// <summary>Reads a number; false when the bytes end too early or say more than 64 bits.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out ulong value, out int bytes)
    {
        value = 0;
        int shift = 0;
        for (int i = 0; i < source.Length && i < MaxBytes; i++, shift += 7)
        {
            byte b = source[i];
            if (i == MaxBytes - 1 && b > 1)
            {
                break;
            }

            value |= (ulong)(b & 0x7F) << shift;
            if (b < 0x80)
            {
                bytes = i + 1;
                return true;
            }
        }

        bytes = 0;
        return false;
    }
}
