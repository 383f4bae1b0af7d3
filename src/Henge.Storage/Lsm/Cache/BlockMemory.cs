using System.Runtime.CompilerServices;
using Henge.Core;

namespace Henge.Storage.Lsm.Cache;

/// <summary>
/// Off-heap memory of one block: a small header, the bytes, and slack behind them, so that decoders may load whole words. A block is owned
/// by the cache, or it is loose: then its header counts who uses it.
/// </summary>
internal static unsafe class BlockMemory
{
    /// <summary>Bytes that may be read (not used) behind a block.</summary>
    public const int SlackBytes = 16;

    private const int HeaderBytes = 16;

    /// <summary>Memory that a block takes.</summary>
    public static long Footprint(int length) => (long)length + HeaderBytes + SlackBytes;

    /// <summary>Takes memory for a block and returns where its bytes go.</summary>
    public static byte* Allocate(int length)
    {
        byte* memory = OffHeap.Allocate(Footprint(length));
        *(long*)memory = length;
        *(long*)(memory + sizeof(long)) = 0;
        byte* data = memory + HeaderBytes;
        Unsafe.InitBlockUnaligned(data + length, 0, SlackBytes);
        return data;
    }

    /// <summary>Frees a block that nobody uses.</summary>
    public static void Free(byte* data)
    {
        byte* memory = data - HeaderBytes;
        OffHeap.Free(memory, Footprint((int)*(long*)memory));
    }

    /// <summary>Makes a block loose, with one pin.</summary>
    public static PinnedBlock PinUncached(byte* data, int length)
    {
        Volatile.Write(ref References(data), 1);
        return new PinnedBlock(data, length, UncachedBlocks.Owner, (nint)data);
    }

    private static ref long References(byte* data) => ref *(long*)(data - sizeof(long));

    /// <summary>Owns the blocks that are not in a cache.</summary>
    internal sealed class UncachedBlocks : IPinOwner
    {
        public static readonly UncachedBlocks Owner = new();

        public static void Retain(nint token) => Interlocked.Increment(ref References((byte*)token));

        public void Unpin(nint token)
        {
            long left = Interlocked.Decrement(ref References((byte*)token));
            Invariant.Check(left >= 0, "block unpinned too often");
            if (left == 0)
            {
                Free((byte*)token);
            }
        }
    }
}

/// <summary>A block's bytes, pinned until <see cref="Unpin"/> is called once.</summary>
internal readonly unsafe struct PinnedBlock(byte* data, int length, IPinOwner owner, nint token)
{
    /// <summary>The bytes; <see cref="BlockMemory.SlackBytes"/> more may be read.</summary>
    public byte* Data { get; } = data;

    /// <summary>How many.</summary>
    public int Length { get; } = length;

    /// <summary>Who pins it.</summary>
    public IPinOwner? Owner { get; } = owner;

    /// <summary>What the owner needs to let go of it.</summary>
    public nint Token { get; } = token;

    /// <summary>Lets go of it.</summary>
    public void Unpin() => Owner?.Unpin(Token);
}
