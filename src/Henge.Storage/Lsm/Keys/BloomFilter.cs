using System.IO.Hashing;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Henge.Storage.Lsm.Keys;

/// <summary>
/// A blocked Bloom filter (Putze, Sanders and Singler, 2007): all bits of a key lie in one block of 64 bytes, so that asking costs one
/// cache miss. With 10 bits and 6 probes a key, a false positive comes about once in a hundred; a false negative never. Pure functions over
/// memory that the caller owns; the form is that of the file (docs/formats.md).
/// </summary>
internal static unsafe class BloomFilter
{
    /// <summary>Bytes of a block: a cache line.</summary>
    public const int BlockBytes = 64;

    private const ulong NextProbe = 0x9E3779B97F4A7C15;

    /// <summary>The hash of keyspace and key. It is on disk by way of the filters: never change it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Hash(ReadOnlySpan<byte> prefix) => XxHash64.HashToUInt64(prefix);

    /// <summary>Bytes of the filter for some keys.</summary>
    public static int SizeFor(long keys, int bitsPerKey)
    {
        long blocks = Math.Max(1, ((keys * bitsPerKey) + (BlockBytes * 8) - 1) / (BlockBytes * 8));
        return checked((int)(blocks * BlockBytes));
    }

    /// <summary>How many bits a key sets: near bits × ln 2, a little less because blocks fill unevenly.</summary>
    public static int ProbesFor(int bitsPerKey) => Math.Clamp((bitsPerKey * 3 / 5), 1, 12);

    /// <summary>Adds a key.</summary>
    public static void Add(Span<byte> filter, int probes, ulong hash)
    {
        Span<byte> block = filter.Slice((int)BlockOf(hash, (uint)(filter.Length / BlockBytes)) * BlockBytes, BlockBytes);
        ulong state = hash;
        for (int i = 0; i < probes; i++)
        {
            state *= NextProbe;
            uint bit = (uint)(state >> 55);
            block[(int)(bit >> 3)] |= (byte)(1 << (int)(bit & 7));
        }
    }

    /// <summary>False when the key was never added.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool MayContain(byte* filter, uint blockCount, int probes, ulong hash)
    {
        byte* block = filter + ((long)BlockOf(hash, blockCount) * BlockBytes);
        ulong state = hash;
        do
        {
            state *= NextProbe;
            uint bit = (uint)(state >> 55);
            if ((block[bit >> 3] & (1 << (int)(bit & 7))) == 0)
            {
                return false;
            }
        }
        while (--probes > 0);
        return true;
    }

    /// <summary>Asks for the line of a key before it is needed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(byte* filter, uint blockCount, ulong hash)
    {
        if (Sse.IsSupported)
        {
            Sse.Prefetch0(filter + ((long)BlockOf(hash, blockCount) * BlockBytes));
        }
    }

    // The high half chooses the block; the probes' bits come from products of the whole.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint BlockOf(ulong hash, uint blocks) => (uint)(((hash >> 32) * blocks) >> 32);
}
