using System.Runtime.CompilerServices;
using Henge.Core;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Compactions;
using Henge.Storage.Lsm.Iterators;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.Settings;
using Henge.Storage.Lsm.State;
using Henge.Storage.Lsm.Writing;

namespace Henge.Storage.Lsm;

/// <summary>
/// A log-structured merge tree: writes go to a memtable (and, with the engine's own log on, to the log), full memtables become tables in
/// L0, and compaction merges tables down through sorted levels (O'Neil et al., 1996; leveled as in LevelDB and RocksDB). Thread-safe.
/// </summary>
/// <remarks>
/// Usable by itself as an embedded store: open it, <see cref="Write"/> batches, read, dispose of it. Under Raft the owner has the log, and
/// drives <see cref="Apply"/> with versions of its own.
/// </remarks>
public sealed unsafe class LsmEngine : IStorageEngine
{
    private const int StackKeyBytes = 512;
    private const long FloorStepMs = 10_000;
    private readonly EngineState _state;
    private readonly BackgroundWork _work;
    private readonly BatchApplier _applier;
    private readonly CommitQueue? _commits;
    private readonly EngineLog? _log;
    private readonly IDisposable _lock;
    private readonly IBackgroundScheduler? _ownScheduler;
    private readonly Lock _stampLock = new();
    private long _floorCheckedMs;
    private int _disposed;

    internal LsmEngine(
        EngineState state,
        BackgroundWork work,
        BatchApplier applier,
        EngineLog? log,
        IDisposable directoryLock,
        IBackgroundScheduler? ownScheduler)
    {
        _state = state;
        _work = work;
        _applier = applier;
        _log = log;
        _lock = directoryLock;
        _ownScheduler = ownScheduler;
        _commits = log is null ? null : new CommitQueue(state, log, applier);
    }

    /// <summary>
    /// Opens the engine in a directory, and recovers what was acknowledged before.
    /// </summary>
    /// <exception cref="HengeException">
    /// <see cref="ErrorCode.Locked"/>: another process has it open. <see cref="ErrorCode.UnsupportedFormat"/>: written by a build with
    /// other formats. <see cref="ErrorCode.Corruption"/>: damaged, with file and offset; nothing was changed.
    /// <see cref="ErrorCode.Misconfigured"/>: the options make no sense, or do not fit what is in the directory.
    /// </exception>
    public static LsmEngine Open(LsmOptions options) => EngineOpener.Open(options);

    /// <inheritdoc/>
    public string Name => "lsm";

    /// <summary>How many batches wait to be written to the engine's own log, or are being written; for tests.</summary>
    internal int CommitsUnderWay => _commits?.UnderWay ?? 0;

    /// <inheritdoc/>
    public event Action? Flushed
    {
        add => _work.Flushed += value;
        remove => _work.Flushed -= value;
    }

    /// <inheritdoc/>
    public WritePressure Pressure => _state.Pressure;

    /// <inheritdoc/>
    public string? StopReason =>
        _state.Pressure == WritePressure.Stop && !_state.BlocksWriters ? _state.CompactionProblem?.Message : null;

    internal EngineState State => _state;

    /// <inheritdoc/>
    public void Apply(WriteBatch batch, bool sync = true)
    {
        _applier.Check(batch);
        Admit();
        if (_commits is not null)
        {
            _commits.CommitChecked(batch, sync, stamp: false);
            return;
        }

        ApplyWithoutLog(batch);
    }

    /// <summary>
    /// For embedded use: gives the batch's entries whose version is zero the next version of the engine's clock, and applies the batch. Any
    /// number of threads may write to any keyspaces at once; they share syncs.
    /// </summary>
    /// <returns>The version.</returns>
    public Core.Version Write(WriteBatch batch, bool sync = true)
    {
        _applier.Check(batch);
        Admit();
        if (_commits is not null)
        {
            return _commits.CommitChecked(batch, sync, stamp: true);
        }

        lock (_stampLock)
        {
            Core.Version version = _applier.Stamp(batch);
            ApplyWithoutLog(batch);
            return version;
        }
    }

    /// <inheritdoc/>
    [SkipLocalsInit]
    public bool TryGet(uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value)
    {
        _state.ThrowIfUnusable();
        SuperVersion version = _state.Acquire(out int stripe);
        try
        {
            return TryGet(version, keyspace, key, point, out value);
        }
        finally
        {
            version.Release(stripe);
        }
    }

    /// <inheritdoc/>
    public EngineIterator CreateIterator(in IteratorOptions options)
    {
        _state.ThrowIfUnusable();

        // The clock before the version: what it says is whole is then in the version for sure.
        Core.Version at = _state.Clocks.Read(options.Keyspace);
        SuperVersion version = _state.Acquire(out int stripe);
        return CreateIterator(version, at, options, () => version.Release(stripe));
    }

    /// <inheritdoc/>
    public IEngineSnapshot CreateSnapshot()
    {
        _state.ThrowIfUnusable();
        KeyspaceClocks clocks = _state.Clocks.Copy();
        SuperVersion version = _state.Acquire(out int stripe);
        return new LsmSnapshot(_state, version, stripe, clocks);
    }

    /// <inheritdoc/>
    public ulong GetPosition(uint stream) => _applier.GetPosition(stream);

    /// <inheritdoc/>
    public ulong GetDurablePosition(uint stream) => _state.GetDurablePosition(stream);

    /// <inheritdoc/>
    public void RequestFlush()
    {
        _state.ThrowIfUnusable();
        SealActive();
        _work.ScheduleFlush();
    }

    /// <inheritdoc/>
    public void Flush()
    {
        _state.ThrowIfUnusable();
        SealActive();
        WriteBuffer[] waiting = _state.GetSealed();

        // There may be room since the last try, and the next of its own accord is a while away: this one counts.
        _state.DiskIsFull = false;
        _work.ScheduleFlush();
        bool done = _state.WaitUntil(() => _state.DiskIsFull || !_state.GetSealed().Intersect(waiting).Any());
        if (!done || _state.GetSealed().Intersect(waiting).Any())
        {
            throw new HengeException(
                ErrorCode.DiskFull,
                $"The disk under {_state.Parts.Directory} is full, so memory could not be flushed. Make room; the engine goes on by itself."
            );
        }
    }

    /// <summary>
    /// Merges all tables into the last level, after flushing what is in memory. Old versions below the history floor go. Blocks until it is
    /// done.
    /// </summary>
    public void Compact()
    {
        Flush();
        _work.CompactAll();
    }

    /// <inheritdoc/>
    public void SetHistoryFloor(Core.Version floor)
    {
        // Each time that much history has gone, tables may have become worth rewriting.
        if (_state.RaiseFloor(floor) && floor.Milliseconds - Volatile.Read(ref _floorCheckedMs) >= FloorStepMs)
        {
            Volatile.Write(ref _floorCheckedMs, floor.Milliseconds);
            _work.ScheduleCompaction();
        }
    }

    /// <inheritdoc/>
    public Core.Version HistoryFloor => _state.RequestedFloor;

    /// <inheritdoc/>
    public void DropRange(uint keyspace, ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper)
    {
        if (!upper.IsEmpty && lower.SequenceCompareTo(upper) >= 0)
        {
            return;
        }

        if (_log is null)
        {
            DropRangeLocked(keyspace, lower, upper);
        }
        else
        {
            lock (_log.Gate)
            {
                // The manifest will name the log's end: after a crash no new record may come to lie below it.
                SyncLog();
                DropRangeLocked(keyspace, lower, upper);
            }
        }

        _work.ScheduleFlush();
        _work.ScheduleCompaction();
    }

    /// <inheritdoc/>
    public void Checkpoint(string directory)
    {
        Flush();
        (VersionEdit edit, SuperVersion version, int stripe) = _state.CaptureManifest();
        try
        {
            CheckpointWriter.Write(_state.Parts, edit, directory);
        }
        finally
        {
            version.Release(stripe);
        }
    }

    /// <inheritdoc/>
    public void DeclareKeyspaces(IReadOnlyList<uint> keyspaces) => _state.Keyspaces = [.. keyspaces.Order()];

    /// <inheritdoc/>
    public void TakeDamage(Action<uint, HengeException> found)
    {
        DamagedPart[] parts = _state.Parts.Store.Damage.Take();
        if (parts.Length == 0 || _state.IsClosed || _state.HasFailed)
        {
            return;
        }

        SuperVersion version = _state.Acquire(out int stripe);
        try
        {
            var there = version.Levels.Levels.SelectMany(static level => level).Select(static table => table.Meta.Number).ToHashSet();
            foreach (DamagedPart part in parts.Where(part => there.Contains(part.Table.Number)))
            {
                foreach (uint keyspace in _state.Keyspaces ?? [])
                {
                    if (part.MayHold(keyspace, version.Levels.Drops))
                    {
                        found(keyspace, part.Error);
                    }
                }
            }
        }
        finally
        {
            version.Release(stripe);
        }
    }

    /// <inheritdoc/>
    public long EstimateTableBytes(uint keyspace)
    {
        _state.ThrowIfUnusable();
        SuperVersion version = _state.Acquire(out int stripe);
        try
        {
            long bytes = 0;
            foreach (TableHandle[] level in version.Levels.Levels)
            {
                foreach (TableHandle table in level)
                {
                    bytes += table.Reader.EstimateBytesOf(keyspace);
                }
            }

            return bytes;
        }
        finally
        {
            version.Release(stripe);
        }
    }

    /// <inheritdoc/>
    public EngineStatistics GetStatistics()
    {
        _state.ThrowIfUnusable();
        SuperVersion version = _state.Acquire(out int stripe);
        try
        {
            var levels = new List<LevelStatistics>();
            long entries = version.Active.Table.EntryCount + version.Sealed.Sum(static buffer => buffer.Table.EntryCount);
            for (int level = 0; level < LevelSet.LevelCount; level++)
            {
                TableHandle[] tables = version.Levels.Levels[level];
                levels.Add(new LevelStatistics(level, tables.Length, tables.Sum(static table => table.Meta.Bytes)));
                entries += tables.Sum(static table => table.Meta.Entries);
            }

            BlockCache cache = _state.Parts.Cache;
            return new EngineStatistics
            {
                MemTableBytes = _state.MemoryBytes,
                Levels = levels,
                TableBytes = levels.Sum(static level => level.Bytes),
                BytesIn = _applier.BytesIn,
                BytesWritten = _work.BytesWritten,
                BlockCacheBytes = cache.UsedBytes,
                BlockCacheHits = cache.Hits,
                BlockCacheMisses = cache.Misses,
                Flushes = _work.Flushes,
                Compactions = _work.Compactions,
                DiscardedCompactions = _work.DiscardedCompactions,
                Entries = entries,
            };
        }
        finally
        {
            version.Release(stripe);
        }
    }

    /// <summary>
    /// Closes the engine. With its own log on, everything acknowledged is in the log or in tables; without, what was not flushed is in the
    /// owner's log only. Readers that are under way must be done; iterators and snapshots must have been disposed of.
    /// </summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        // The state first, so that a job that is running notices and ends early.
        _state.Dispose();
        _ownScheduler?.Dispose();
        _work.Stop();
        _log?.Dispose();
        _state.Parts.Obsolete.Stop();
        _state.Parts.Cache.Dispose();
        _lock.Dispose();
    }

    [SkipLocalsInit]
    internal static bool TryGet(SuperVersion version, uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value)
    {
        if (key.Length > StackKeyBytes)
        {
            return TryGetLong(version, keyspace, key, point, out value);
        }

        byte* buffer = stackalloc byte[StackKeyBytes + 32];
        return TryGet(version, new LookupKey(buffer, keyspace, key, point.At), point.NowMs, out value);
    }

    internal static EngineIterator CreateIterator(SuperVersion version, Core.Version at, in IteratorOptions options, Action release)
    {
        at = options.Point.At < at ? options.Point.At : at;
        try
        {
            return new LsmIterator(IteratorSources.Create(version, at, options), options, at, release);
        }
        catch
        {
            release();
            throw;
        }
    }

    private static bool TryGet(SuperVersion version, in LookupKey lookup, long nowMs, out PinnedValue value)
    {
        if (version.TryGet(lookup, out FoundEntry entry))
        {
            if (entry.Kind == EntryKind.Put || (EntryHeader.IsIn(entry.Kind) && EntryHeader.IsAlive(entry.ExpiresAtMs, nowMs)))
            {
                value = entry.ToPinnedValue();
                return true;
            }

            entry.Unpin();
        }

        value = default;
        return false;
    }

    private static bool TryGetLong(SuperVersion version, uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value)
    {
        byte[] array = System.Buffers.ArrayPool<byte>.Shared.Rent(LookupKey.BufferBytes(key.Length));
        try
        {
            fixed (byte* buffer = array)
            {
                return TryGet(version, new LookupKey(buffer, keyspace, key, point.At), point.NowMs, out value);
            }
        }
        finally
        {
            System.Buffers.ArrayPool<byte>.Shared.Return(array);
        }
    }

    private void ApplyWithoutLog(WriteBatch batch)
    {
        _state.ThrowIfUnusable();
        WriteBuffer buffer = _state.EnterActive();
        try
        {
            _applier.Apply(batch, buffer);
            _applier.SealIfFull(buffer);
        }
        finally
        {
            buffer.Exit();
        }
    }

    // Waits while there is no room: a memtable that is full with as many as may wait before it, or far too many tables in L0.
    private void Admit()
    {
        _state.ThrowIfUnusable();
        if (_state.BlocksWriters)
        {
            WaitForRoom();
        }
    }

    private void WaitForRoom()
    {
        _work.ScheduleFlush();
        _work.ScheduleCompaction();
        bool admitted = false;
        bool moved = _state.WaitUntil(() =>
        {
            SealWhenRoom();
            admitted = !_state.BlocksWriters;

            // Where damage is replaced by its owner, it is only the flush that is waited for.
            return admitted || _state.DiskIsFull || (_state.CompactionProblem is not null && !_state.Parts.Options.OpenDamagedTables);
        });
        if (admitted)
        {
            return;
        }

        if (_state.DiskIsFull)
        {
            throw new HengeException(
                ErrorCode.DiskFull,
                $"The disk under {_state.Parts.Directory} is full and so is memory, so writes are refused. Reads go on. Make room; the "
                    + $"engine goes on by itself.");
        }

        if (_state.CompactionProblem is { } problem)
        {
            throw new HengeException(
                ErrorCode.Corruption,
                $"Writes are refused, because compaction cannot go on: {problem.Message} Reads of undamaged data go on.",
                problem);
        }

        throw new HengeException(
            ErrorCode.Internal,
            $"Writes wait for background work, and there is none that could run{(moved ? "" : " (the scheduler's queue is empty)")}.");
    }

    private void SealWhenRoom()
    {
        if (_state.SealFullActive(_log?.End ?? 0))
        {
            _work.ScheduleFlush();
        }
    }

    private void SealActive()
    {
        if (_log is null)
        {
            _state.SealActive(0);
            return;
        }

        lock (_log.Gate)
        {
            _state.SealActive(_log.End);
        }
    }

    private void SyncLog()
    {
        _state.ThrowIfUnusable();
        try
        {
            _log!.SyncLocked();
        }
        catch (IOException error)
        {
            _state.Fail(new IOException($"The engine's log could not be synced: {error.Message}", error));
            throw;
        }
    }

    private void DropRangeLocked(uint keyspace, ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper)
    {
        _state.ThrowIfUnusable();
        _state.DropRange(keyspace, lower, upper, _log?.End ?? 0);
    }
}
