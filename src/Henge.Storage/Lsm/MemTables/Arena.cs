using System.Runtime.CompilerServices;
using Henge.Storage.Lsm.Cache;

namespace Henge.Storage.Lsm.MemTables;

/// <summary>
/// Off-heap memory that is handed out piece after piece and given back all at once. Threads allocate with one atomic addition; only a new
/// chunk takes a lock. What is handed out never moves.
/// </summary>
internal sealed unsafe class Arena
{
    private const int MinChunkBytes = 16 * 1024;
    private const int MaxChunkBytes = ArenaChunks.ChunkBytes;
    private readonly Lock _growLock = new();
    private readonly List<Chunk> _chunks = [];
    private readonly int _chunkBytes;
    private volatile Chunk _current;
    private long _closedBytes;

    /// <summary>Creates an arena whose chunks fit the size that it will have in the end (2 MiB at most, which is a huge page).</summary>
    public Arena(long capacityBytes)
    {
        long chunk = MinChunkBytes;
        while (chunk < MaxChunkBytes && chunk * 8 < capacityBytes)
        {
            chunk *= 2;
        }

        _chunkBytes = (int)chunk;
        _current = Open(_chunkBytes);
    }

    /// <summary>Bytes handed out.</summary>
    public long UsedBytes
    {
        get
        {
            Chunk current = _current;
            return Volatile.Read(ref _closedBytes) + Math.Min(Volatile.Read(ref current.Used), current.Size);
        }
    }

    /// <summary>Hands out memory, aligned to 8 bytes, not cleared.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Allocate(int bytes)
    {
        long size = ((long)bytes + 7) & ~7L;
        Chunk current = _current;
        if (size <= _chunkBytes / 4)
        {
            long end = Interlocked.Add(ref current.Used, size);
            if (end <= current.Size)
            {
                return current.Base + (end - size);
            }
        }

        return AllocateSlowly(size);
    }

    private byte* AllocateSlowly(long size)
    {
        lock (_growLock)
        {
            if (size > _chunkBytes / 4)
            {
                // A large value gets a chunk of its own, so that the rest of the current one is not lost.
                Chunk single = Open(size);
                single.Used = size;
                Volatile.Write(ref _closedBytes, _closedBytes + size);
                return single.Base;
            }

            while (true)
            {
                Chunk current = _current;
                long end = Interlocked.Add(ref current.Used, size);
                if (end <= current.Size)
                {
                    return current.Base + (end - size);
                }

                Chunk next = Open(_chunkBytes);
                Volatile.Write(ref _closedBytes, _closedBytes + current.Size);
                _current = next;
            }
        }
    }

    private Chunk Open(long bytes)
    {
        Chunk chunk = new() { Base = bytes == MaxChunkBytes ? ArenaChunks.Take() : OffHeap.AllocateAligned(bytes), Size = bytes };
        _chunks.Add(chunk);
        return chunk;
    }

    /// <summary>Gives all of it back. Nobody may use a piece any more.</summary>
    public void Free()
    {
        lock (_growLock)
        {
            foreach (Chunk chunk in _chunks)
            {
                if (chunk.Size == MaxChunkBytes)
                {
                    ArenaChunks.Give(chunk.Base);
                }
                else
                {
                    OffHeap.FreeAligned(chunk.Base, chunk.Size);
                }
            }

            _chunks.Clear();
        }
    }

    private sealed class Chunk
    {
        public byte* Base;
        public long Size;
        public long Used;
    }
}
