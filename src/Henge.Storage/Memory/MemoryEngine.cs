using System.Collections.Immutable;
using Henge.Core;

namespace Henge.Storage.Memory;

/// <summary>
/// An engine without files, for tests, caches and simulations: everything is gone when it is disposed of, and its durable positions are always 0.
/// Reads work on an immutable tree and so never block; writers take turns. Thread-safe.
/// </summary>
public sealed class MemoryEngine : IStorageEngine
{
    private readonly Lock _writing = new();
    private readonly Dictionary<uint, ulong> _positions = [];
    private ImmutableSortedSet<MemoryEntry> _entries = ImmutableSortedSet<MemoryEntry>.Empty;
    private Core.Version _floor;
    private long _bytes;
    private long _bytesIn;
    private long _garbage;
    private bool _disposed;

    /// <inheritdoc/>
    public string Name => "memory";

    /// <inheritdoc/>
    public event Action? Flushed
    {
        add { }
        remove { }
    }

    /// <inheritdoc/>
    public WritePressure Pressure => WritePressure.None;

    /// <inheritdoc/>
    public void Apply(WriteBatch batch, bool sync = true)
    {
        CheckWellFormed(batch);
        lock (_writing)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            ImmutableSortedSet<MemoryEntry>.Builder builder = _entries.ToBuilder();
            var reader = new WriteBatchReader(batch.Encoded);
            while (reader.MoveNext())
            {
                if (reader.IsPosition)
                {
                    _positions[reader.Keyspace] = reader.Position;
                    continue;
                }

                var entry = new MemoryEntry(reader.Keyspace, reader.Key, reader.Version, reader.Kind, reader.ExpiresAtMs, reader.Value);
                if (builder.Remove(entry))
                {
                    _bytes -= entry.Bytes;
                }

                builder.Add(entry);
                _bytes += entry.Bytes;
                _garbage++;
            }

            _bytesIn += batch.ByteCount;
            Volatile.Write(ref _entries, builder.ToImmutable());
            if (_garbage > 1024 && _garbage > _entries.Count / 2)
            {
                Collect();
            }
        }
    }

    /// <inheritdoc/>
    public bool TryGet(uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value) =>
        MemoryView.TryGet(Volatile.Read(ref _entries), keyspace, key, point, out value);

    /// <inheritdoc/>
    public EngineIterator CreateIterator(in IteratorOptions options) => new MemoryIterator(Volatile.Read(ref _entries), options);

    /// <inheritdoc/>
    public IEngineSnapshot CreateSnapshot() => new MemoryView(Volatile.Read(ref _entries));

    /// <inheritdoc/>
    public ulong GetPosition(uint stream)
    {
        lock (_writing)
        {
            return _positions.GetValueOrDefault(stream);
        }
    }

    /// <inheritdoc/>
    public ulong GetDurablePosition(uint stream) => 0;

    /// <inheritdoc/>
    public void RequestFlush()
    {
    }

    /// <inheritdoc/>
    public void Flush()
    {
    }

    /// <inheritdoc/>
    public void SetHistoryFloor(Core.Version floor)
    {
        lock (_writing)
        {
            if (floor > _floor)
            {
                _floor = floor;
                _garbage++;
            }
        }
    }

    /// <inheritdoc/>
    public void DropRange(uint keyspace, ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper)
    {
        lock (_writing)
        {
            ImmutableSortedSet<MemoryEntry> entries = _entries;
            int first = MemoryView.LowerBound(entries, MemoryEntry.Before(keyspace, lower));
            int end = MemoryView.KeyspaceOrKeyEnd(entries, keyspace, upper);
            ImmutableSortedSet<MemoryEntry>.Builder builder = entries.ToBuilder();
            for (int i = first; i < end; i++)
            {
                builder.Remove(entries[i]);
                _bytes -= entries[i].Bytes;
            }

            Volatile.Write(ref _entries, builder.ToImmutable());
        }
    }

    /// <summary>Not possible: there are no files to copy.</summary>
    public void Checkpoint(string directory) =>
        throw new HengeException(ErrorCode.InvalidArgument, "The memory engine keeps nothing on disk, so it has no checkpoint. Use the lsm engine.");

    /// <inheritdoc/>
    public EngineStatistics GetStatistics()
    {
        lock (_writing)
        {
            return new EngineStatistics { MemTableBytes = _bytes, BytesIn = _bytesIn, Entries = _entries.Count };
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_writing)
        {
            _disposed = true;
        }
    }

    private static void CheckWellFormed(WriteBatch batch)
    {
        var reader = new WriteBatchReader(batch.Encoded);
        while (reader.MoveNext())
        {
        }

        if (reader.Damaged)
        {
            throw new HengeException(ErrorCode.InvalidArgument, "The batch is not well formed, so nothing of it was applied.");
        }
    }

    // Drops versions that no read at or above the floor can see.
    private void Collect()
    {
        ImmutableSortedSet<MemoryEntry> entries = _entries;
        ImmutableSortedSet<MemoryEntry>.Builder builder = entries.ToBuilder();
        MemoryEntry? previous = null;
        bool covered = false;
        foreach (MemoryEntry entry in entries)
        {
            if (previous is null || !entry.SameKey(previous))
            {
                covered = false;
            }

            bool system = (entry.Keyspace & 0x8000_0000) != 0;
            bool coverable = system || entry.Version <= _floor;
            bool gone = entry.Kind == EntryKind.Delete || (entry.ExpiresAtMs != 0 && entry.ExpiresAtMs <= _floor.Milliseconds);
            if (coverable && (covered || gone))
            {
                builder.Remove(entry);
                _bytes -= entry.Bytes;
            }

            covered |= coverable;
            previous = entry;
        }

        Volatile.Write(ref _entries, builder.ToImmutable());
        _garbage = 0;
    }
}
