using Henge.Core;
using Henge.Storage.Bitcask.Merging;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Bitcask.Settings;
using Henge.Storage.Bitcask.State;
using Henge.Storage.Files;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Manifests;

namespace Henge.Storage.Bitcask;

/// <summary>
/// An engine of append-only files and an index of all keys in memory, after Bitcask (Sheehy and Smith, 2010), with keys in order and with
/// history: a write appends once, a read is one positional read of one value, and a merge rewrites files in which little is live.
/// Thread-safe.
/// </summary>
/// <remarks>
/// Made for data whose keys fit in memory and whose values need not: every version of a key takes about 80 bytes of memory, and the key
/// (decision 0220). Reads take no lock and wait for nobody; there is one writer at a time. A value is read from its file each time: what is
/// read often comes from the system's cache, and the engine has none of its own.
/// </remarks>
public sealed class BitcaskEngine : IStorageEngine
{
    private readonly BitcaskState _state;
    private readonly BatchWriter _writer;
    private readonly BitcaskWork _work;
    private readonly ValueReader _reader;
    private readonly IDisposable _lock;
    private readonly IBackgroundScheduler? _ownScheduler;
    private int _disposed;

    internal BitcaskEngine(
        BitcaskState state,
        BatchWriter writer,
        BitcaskWork work,
        IDisposable directoryLock,
        IBackgroundScheduler? ownScheduler)
    {
        _state = state;
        _writer = writer;
        _work = work;
        _reader = new ValueReader(state);
        _lock = directoryLock;
        _ownScheduler = ownScheduler;
    }

    /// <summary>
    /// Opens the engine in a directory, and recovers what was acknowledged before. Takes the time to read the hint files: some 50 bytes for
    /// each entry.
    /// </summary>
    /// <exception cref="HengeException">
    /// <see cref="ErrorCode.Locked"/>: another process has it open. <see cref="ErrorCode.UnsupportedFormat"/>: written by a build with
    /// other formats. <see cref="ErrorCode.Corruption"/>: damaged, with file and offset; nothing was changed.
    /// <see cref="ErrorCode.Misconfigured"/>: the options make no sense, or the directory is that of another engine.
    /// </exception>
    public static BitcaskEngine Open(BitcaskOptions options) => BitcaskOpener.Open(options);

    /// <inheritdoc/>
    public string Name => "bitcask";

    /// <inheritdoc/>
    public event Action? Flushed
    {
        add => _work.Flushed += value;
        remove => _work.Flushed -= value;
    }

    /// <inheritdoc/>
    public WritePressure Pressure
    {
        get
        {
            long bytes = _writer.IndexBytes;
            long most = _state.Options.MemoryBytes;
            return bytes >= most || _writer.IsHolding ? WritePressure.Stop
                : bytes >= most - (most / 8) ? WritePressure.SlowDown
                : WritePressure.None;
        }
    }

    /// <inheritdoc/>
    public string? StopReason => _writer.IndexBytes < _state.Options.MemoryBytes ? null
        : $"The index of the bitcask engine takes {_writer.IndexBytes} bytes of memory, and MemoryBytes allows {_state.Options.MemoryBytes}. "
            + "Give it more memory, or keep less history.";

    internal BitcaskState State => _state;

    internal BatchWriter Writer => _writer;

    /// <inheritdoc/>
    public void Apply(WriteBatch batch, bool sync = true)
    {
        _state.ThrowIfUnusable();
        bool hasValues = Check(batch);
        if (hasValues && !_state.Options.OwnerHasLog && _writer.IndexBytes >= _state.Options.MemoryBytes)
        {
            throw new HengeException(
                ErrorCode.ResourceExhausted,
                $"The batch was refused: {StopReason ?? "the index is full."} Deletions are taken.");
        }

        _writer.Commit(batch, sync && !_state.Options.OwnerHasLog, stamp: false);
    }

    /// <inheritdoc/>
    public bool TryGet(uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value)
    {
        _state.ThrowIfUnusable();
        IndexView view = _state.Acquire(out int stripe);
        try
        {
            return _reader.TryGet(view, keyspace, key, point, out value);
        }
        finally
        {
            view.Release(stripe);
        }
    }

    /// <inheritdoc/>
    public EngineIterator CreateIterator(in IteratorOptions options)
    {
        _state.ThrowIfUnusable();

        // The clock before the view: what it says is whole is then in the view for sure.
        Core.Version at = _state.Clocks.Read(options.Keyspace);
        IndexView view = _state.Acquire(out int stripe);
        at = options.Point.At < at ? options.Point.At : at;
        try
        {
            return new BitcaskIterator(_state, _reader, view, options, at, () => view.Release(stripe));
        }
        catch
        {
            view.Release(stripe);
            throw;
        }
    }

    /// <inheritdoc/>
    public IEngineSnapshot CreateSnapshot()
    {
        _state.ThrowIfUnusable();
        KeyspaceClocks clocks = _state.Clocks.Copy();
        IndexView view = _state.Acquire(out int stripe);
        return new BitcaskSnapshot(_state, _reader, view, stripe, clocks);
    }

    /// <inheritdoc/>
    public ulong GetPosition(uint stream) => _writer.GetPosition(stream);

    /// <inheritdoc/>
    public ulong GetDurablePosition(uint stream) => _writer.GetDurablePosition(stream);

    /// <inheritdoc/>
    public void RequestFlush()
    {
        _state.ThrowIfUnusable();
        _work.ScheduleSync();
    }

    /// <inheritdoc/>
    public void Flush()
    {
        _state.ThrowIfUnusable();
        try
        {
            _writer.Sync();
        }
        catch (DiskFullException error)
        {
            throw new HengeException(
                ErrorCode.DiskFull,
                $"The disk under {_state.Directory} is full, so what is held in memory could not be written. Make room; the engine goes on "
                    + "by itself.",
                error);
        }

        _work.ScheduleSync();
    }

    /// <summary>
    /// Seals what is written and merges every segment that has anything dead in it. Old versions below the history floor go. Blocks until
    /// it is done.
    /// </summary>
    public void Compact()
    {
        _writer.SealActive();
        _work.MergeAll();
    }

    /// <inheritdoc/>
    public void SetHistoryFloor(Core.Version floor)
    {
        if (_state.RaiseFloor(floor))
        {
            _work.ConsiderFloor(floor);
        }
    }

    /// <inheritdoc/>
    public Core.Version HistoryFloor => _state.RequestedFloor;

    /// <inheritdoc/>
    public void DropRange(uint keyspace, ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper)
    {
        _state.ThrowIfUnusable();
        if (upper.IsEmpty || lower.SequenceCompareTo(upper) < 0)
        {
            _writer.Drop(keyspace, lower, upper);
        }
    }

    /// <inheritdoc/>
    public void Checkpoint(string directory)
    {
        IndexView view;
        int stripe;
        SegmentManifest manifest;
        lock (_writer.Gate)
        {
            // No merge can take a file away from what is captured here: the view keeps it.
            _writer.SealActive();
            view = _state.Acquire(out stripe);
            manifest = _state.Manifest;
        }

        try
        {
            BitcaskCheckpoint.Write(_state, manifest, directory);
        }
        finally
        {
            view.Release(stripe);
        }
    }

    /// <inheritdoc/>
    public void DeclareKeyspaces(IReadOnlyList<uint> keyspaces) => _state.Keyspaces = [.. keyspaces];

    /// <inheritdoc/>
    public void TakeDamage(Action<uint, HengeException> found)
    {
        DamagedEntry[] entries = _state.Damage.Take();
        if (entries.Length == 0 || _state.IsClosed || _state.HasFailed)
        {
            return;
        }

        RangeDrop[] drops = _state.Drops;
        foreach (DamagedEntry entry in entries)
        {
            bool isListed = entry.Segment.LastView == long.MaxValue;
            bool isDropped = drops.Any(drop => drop.Epoch > entry.Segment.Epoch && drop.Keyspace == entry.Keyspace
                && (entry.Prefix.Length == 0 ? drop.IsWholeKeyspace : drop.Contains(entry.Prefix)));
            if (isListed && !isDropped && _state.Keyspaces?.Contains(entry.Keyspace) == true)
            {
                found(entry.Keyspace, entry.Error);
            }
        }
    }

    /// <inheritdoc/>
    public long EstimateTableBytes(uint keyspace)
    {
        _state.ThrowIfUnusable();
        return _state.ListedSegments.Where(static s => s.IsSealed).Sum(s => s.Keyspaces.GetValueOrDefault(keyspace).Bytes);
    }

    /// <inheritdoc/>
    public EngineStatistics GetStatistics()
    {
        _state.ThrowIfUnusable();
        List<Segment> segments;
        long entries;
        lock (_writer.Gate)
        {
            segments = [.. _state.ListedSegments];
            entries = segments.Sum(static segment => segment.Keyspaces.Values.Sum(static share => share.Entries));
        }

        long bytes = segments.Sum(static segment => (long)segment.End);
        return new EngineStatistics
        {
            MemTableBytes = _writer.IndexBytes,
            Levels = [new LevelStatistics(0, segments.Count, bytes)],
            TableBytes = bytes,
            BytesIn = _writer.BytesIn,
            BytesWritten = _writer.BytesAppended + _work.BytesMerged,
            Flushes = _work.Syncs,
            Compactions = _work.Merges,
            Entries = entries,
        };
    }

    /// <summary>
    /// Closes the engine, after making durable what was applied. Readers that are under way must be done; iterators and snapshots must have
    /// been disposed of.
    /// </summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _writer.Close();
        _state.Dispose();
        _ownScheduler?.Dispose();
        _work.Stop();
        _state.Obsolete.Stop();
        _state.CloseFiles();
        _lock.Dispose();
    }

    // True when there is a value in the batch, and not only tombstones and positions.
    private bool Check(WriteBatch batch)
    {
        BitcaskOptions options = _state.Options;
        bool hasValues = false;
        long bytes = batch.ByteCount;
        var reader = new WriteBatchReader(batch.Encoded);
        while (reader.MoveNext())
        {
            if (reader.IsPosition)
            {
                continue;
            }

            hasValues |= reader.Kind != EntryKind.Delete;
            bytes += StoredEntry.ChecksumBytes;
            if (reader.Key.Length > options.MaxKeyBytes)
            {
                throw new HengeException(ErrorCode.TooLarge, $"A key has {reader.Key.Length} bytes; the most is {options.MaxKeyBytes}.");
            }

            if (reader.Value.Length > options.MaxValueBytes)
            {
                throw new HengeException(
                    ErrorCode.TooLarge,
                    $"A value has {reader.Value.Length} bytes; the most is {options.MaxValueBytes}.");
            }
        }

        if (reader.Damaged)
        {
            throw new HengeException(ErrorCode.InvalidArgument, "The batch is not well formed, so nothing of it was applied.");
        }

        return bytes <= BatchWriter.MaxBatchBytes
            ? hasValues
            : throw new HengeException(
                ErrorCode.TooLarge,
                $"The batch has {bytes} bytes, and the most that one segment takes is {BatchWriter.MaxBatchBytes}. Split it.");
    }
}
