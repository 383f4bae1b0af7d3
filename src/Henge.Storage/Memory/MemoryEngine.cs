using Henge.Core;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Compactions;
using Henge.Storage.Lsm.Iterators;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.State;

namespace Henge.Storage.Memory;

/// <summary>
/// An engine without files: one skip list off the managed heap, for tests, caches and simulations. Everything is gone when it is disposed
/// of, and its durable positions are always 0. Holds up to about 4 GiB. Thread-safe.
/// </summary>
/// <remarks>
/// Reads take no lock. Now and then, whenever it has doubled, the list is copied without what no read can see any more; writers wait for
/// that, readers go on with the old one.
/// </remarks>
public sealed class MemoryEngine : IStorageEngine
{
    private const long FirstCollectionBytes = 4 << 20;
    private readonly Lock _changing = new();
    private readonly Lock _positionsLock = new();
    private readonly Dictionary<uint, ulong> _positions = [];
    private readonly KeyspaceClocks _clocks = new();
    private readonly LevelSet _emptyLevels = LevelSet.Empty();
    private WriteBuffer _active;
    private SuperVersion? _current;
    private ulong _floor;
    private long _collectAtBytes = FirstCollectionBytes;
    private long _bytesIn;

    /// <summary>Creates an empty engine.</summary>
    public MemoryEngine()
    {
        _active = new WriteBuffer(FirstCollectionBytes, 1, 0);
        _current = new SuperVersion(_active, [], _emptyLevels);
    }

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
        WriteBuffer buffer = Enter();
        long bytes;
        try
        {
            Add(batch, buffer);
            bytes = buffer.Table.ApproximateBytes;
        }
        finally
        {
            buffer.Exit();
        }

        if (bytes >= Volatile.Read(ref _collectAtBytes))
        {
            Collect(buffer);
        }
    }

    /// <inheritdoc/>
    public bool TryGet(uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value)
    {
        SuperVersion version = Acquire(out int stripe);
        try
        {
            return LsmEngine.TryGet(version, keyspace, key, point, out value);
        }
        finally
        {
            version.Release(stripe);
        }
    }

    /// <inheritdoc/>
    public EngineIterator CreateIterator(in IteratorOptions options)
    {
        Core.Version at = _clocks.Read(options.Keyspace);
        SuperVersion version = Acquire(out int stripe);
        return LsmEngine.CreateIterator(version, at, options, () => version.Release(stripe));
    }

    /// <inheritdoc/>
    public IEngineSnapshot CreateSnapshot()
    {
        KeyspaceClocks clocks = _clocks.Copy();
        SuperVersion version = Acquire(out int stripe);
        return new LsmSnapshot(null, version, stripe, clocks);
    }

    /// <inheritdoc/>
    public ulong GetPosition(uint stream)
    {
        lock (_positionsLock)
        {
            return _positions.GetValueOrDefault(stream);
        }
    }

    /// <inheritdoc/>
    public ulong GetDurablePosition(uint stream) => 0;

    /// <summary>Does nothing: there is nowhere to flush to.</summary>
    public void RequestFlush()
    {
    }

    /// <summary>Does nothing: there is nowhere to flush to.</summary>
    public void Flush()
    {
    }

    /// <inheritdoc/>
    public Core.Version HistoryFloor => new(Volatile.Read(ref _floor));

    /// <inheritdoc/>
    public void SetHistoryFloor(Core.Version floor)
    {
        lock (_changing)
        {
            if (floor.Value > _floor)
            {
                Volatile.Write(ref _floor, floor.Value);
            }
        }
    }

    /// <inheritdoc/>
    public void DropRange(uint keyspace, ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper)
    {
        if (!upper.IsEmpty && lower.SequenceCompareTo(upper) >= 0)
        {
            return;
        }

        var drop = new RangeDrop(ulong.MaxValue, keyspace, lower, upper, 0);
        lock (_changing)
        {
            Copy([drop]);
            if (drop.IsWholeKeyspace)
            {
                _clocks.Reset(keyspace);
            }
        }
    }

    /// <summary>Not possible: there are no files to copy.</summary>
    /// <exception cref="HengeException"><see cref="ErrorCode.InvalidArgument"/>, always.</exception>
    public void Checkpoint(string directory) =>
        throw new HengeException(
            ErrorCode.InvalidArgument,
            "The memory engine keeps nothing on disk, so it has no checkpoint. Use the lsm engine.");

    /// <inheritdoc/>
    public EngineStatistics GetStatistics()
    {
        lock (_changing)
        {
            ObjectDisposedException.ThrowIf(_current is null, this);
            return new EngineStatistics
            {
                MemTableBytes = _active.Table.ApproximateBytes,
                BytesIn = Interlocked.Read(ref _bytesIn),
                Entries = _active.Table.EntryCount,
            };
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_changing)
        {
            if (_current is { } current)
            {
                Volatile.Write(ref _current, null);
                _active.Seal();
                _active.WaitUntilQuiet();
                current.Close();
                _active.Table.Release();
            }
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

    private SuperVersion Acquire(out int stripe)
    {
        while (true)
        {
            SuperVersion? current = Volatile.Read(ref _current);
            ObjectDisposedException.ThrowIf(current is null, this);
            if (current.TryRetain(out stripe))
            {
                return current;
            }
        }
    }

    // While the list is being copied its writers wait.
    private WriteBuffer Enter()
    {
        while (true)
        {
            WriteBuffer active = Volatile.Read(ref _active);
            if (active.TryEnter())
            {
                return active;
            }

            lock (_changing)
            {
                ObjectDisposedException.ThrowIf(_current is null, this);
            }
        }
    }

    private void Add(WriteBatch batch, WriteBuffer buffer)
    {
        var raises = new BatchRaises();
        var reader = new WriteBatchReader(batch.Encoded);
        while (reader.MoveNext())
        {
            if (reader.IsPosition)
            {
                lock (_positionsLock)
                {
                    _positions[reader.Keyspace] = reader.Position;
                }

                continue;
            }

            raises.See(_clocks, reader.Keyspace, reader.Version);
            buffer.Table.Add(reader.Kind, reader.Keyspace, reader.Key, reader.Version, reader.Value, reader.Header);
        }

        raises.Raise(_clocks, buffer: null);
        Interlocked.Add(ref _bytesIn, batch.ByteCount);
    }

    private void Collect(WriteBuffer full)
    {
        lock (_changing)
        {
            if (full == _active && _current is not null)
            {
                Copy([]);
            }
        }
    }

    private void Copy(RangeDrop[] drops)
    {
        ObjectDisposedException.ThrowIf(_current is null, this);
        WriteBuffer old = _active;
        old.Seal();
        old.WaitUntilQuiet();
        var fresh = new WriteBuffer(Math.Max(FirstCollectionBytes, old.Table.ApproximateBytes), 1, 0);
        using (InternalIterator source = new DropFilterIterator(old.Table.CreateIterator(), drops, 1))
        {
            var filter = new HistoryFilter(source, new Core.Version(_floor), static _ => true);
            for (filter.SeekToFirst(); filter.Valid; filter.Next())
            {
                InternalKey.Split(filter.Key, out uint keyspace, out ReadOnlySpan<byte> key, out Core.Version version, out EntryKind kind);
                bool headed = EntryHeader.IsIn(kind);
                ReadOnlySpan<byte> value = filter.Value;
                long header = headed ? System.Buffers.Binary.BinaryPrimitives.ReadInt64LittleEndian(value) : 0;
                fresh.Table.Add(kind, keyspace, key, version, headed ? value[EntryHeader.Bytes..] : value, header);
            }
        }

        Volatile.Write(ref _collectAtBytes, Math.Max(FirstCollectionBytes, fresh.Table.ApproximateBytes * 2));
        SuperVersion before = _current;
        Volatile.Write(ref _current, new SuperVersion(fresh, [], _emptyLevels));
        Volatile.Write(ref _active, fresh);
        before.Close();
        old.Table.Release();
    }
}
