using Henge.Storage.Lsm.Cache;

namespace Henge.Storage.Lsm.MemTables;

/// <summary>
/// Chunks of arenas that are not in use: a memtable that has been flushed leaves its memory to the next one. Memory that comes fresh from
/// the kernel has to be cleared first, page by page, which under steady writes took 6% of a node's time. Holds as much as one memtable of
/// the usual size at the most; shared by the engines of a process. Thread-safe.
/// </summary>
internal static unsafe class ArenaChunks
{
    /// <summary>Bytes of a chunk: a huge page.</summary>
    public const int ChunkBytes = 2 << 20;

    private const int MostKept = 32;
    private static readonly Lock Gate = new();
    private static readonly nint[] Kept = new nint[MostKept];
    private static int _count;

    /// <summary>A chunk, not cleared.</summary>
    public static byte* Take()
    {
        lock (Gate)
        {
            if (_count > 0)
            {
                return (byte*)Kept[--_count];
            }
        }

        return OffHeap.AllocateAligned(ChunkBytes);
    }

    /// <summary>Takes a chunk back.</summary>
    public static void Give(byte* chunk)
    {
        lock (Gate)
        {
            if (_count < MostKept)
            {
                Kept[_count++] = (nint)chunk;
                return;
            }
        }

        OffHeap.FreeAligned(chunk, ChunkBytes);
    }
}
