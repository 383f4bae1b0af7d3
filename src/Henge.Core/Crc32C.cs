using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Henge.Core;

/// <summary>
/// CRC-32C (Castagnoli; RFC 3720, appendix B.4), on the processor's own instruction where it has one. Pure functions.
/// </summary>
public static class Crc32C
{
    /// <summary>The checksum of some bytes.</summary>
    public static uint Compute(ReadOnlySpan<byte> data) => Finish(Append(Start, data));

    /// <summary>The state to begin with when the bytes come in pieces.</summary>
    public const uint Start = 0xFFFF_FFFF;

    /// <summary>Takes more bytes into the state.</summary>
    public static uint Append(uint state, ReadOnlySpan<byte> data)
    {
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(data);
        foreach (ulong word in words)
        {
            state = BitOperations.Crc32C(state, BitConverter.IsLittleEndian ? word : BinaryPrimitives.ReverseEndianness(word));
        }

        foreach (byte b in data[(words.Length * sizeof(ulong))..])
        {
            state = BitOperations.Crc32C(state, b);
        }

        return state;
    }

    /// <summary>The checksum that a state stands for.</summary>
    public static uint Finish(uint state) => ~state;
}
