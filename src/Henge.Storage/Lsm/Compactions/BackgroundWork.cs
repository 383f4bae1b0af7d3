using Henge.Core;
using Henge.Storage.Files;

namespace Henge.Storage.Lsm;

/// <summary>A table could not be written or synced. What is on the disk is not known any more, so the engine stops.</summary>
internal sealed class TableWriteException(Exception inner) : IOException($"A table could not be written: {inner.Message}", inner);

/// <summary>Flushes and compactions of one engine: decides when, runs them one at a time for each kind, and deals with what goes wrong.</summary>
internal sealed class BackgroundWork(EngineState state, EngineLog? log)
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);
    private readonly EngineParts _parts = state.Parts;
    private readonly CompactionPicker _picker = new(state.Parts.Options);
    private readonly HashSet<ulong> _damaged = [];
    private readonly Lock _compacting = new();
    private int _flushScheduled;
    private int _compactionScheduled;
    private long _bytesWritten;
    private long _flushes;
    private long _compactions;

    public event Action? Flushed;

    public long BytesWritten => Interlocked.Read(ref _bytesWritten);

    public long Flushes => Interlocked.Read(ref _flushes);

    public long Compactions => Interlocked.Read(ref _compactions);

    public void ScheduleFlush()
    {
        if (Interlocked.Exchange(ref _flushScheduled, 1) == 0)
        {
            _parts.Scheduler.Schedule(BackgroundKind.Flush, RunFlush);
        }
    }

    public void ScheduleCompaction()
    {
        if (Interlocked.Exchange(ref _compactionScheduled, 1) == 0)
        {
            _parts.Scheduler.Schedule(BackgroundKind.Compaction, RunCompaction);
        }
    }

    /// <summary>Compacts everything into the last level that holds data, on the caller's thread.</summary>
    public void CompactAll()
    {
        lock (_compacting)
        {
            while (true)
            {
                state.ThrowIfUnusable();
                SuperVersion version = state.Acquire(out int stripe);
                try
                {
                    if (_picker.PickFull(version.Levels, IsDamaged) is not { } compaction)
                    {
                        break;
                    }

                    Compact(compaction, version.Levels);
                }
                catch (TableWriteException error)
                {
                    state.Fail(error);
                    throw;
                }
                finally
                {
                    version.Release(stripe);
                }
            }
        }

        ScheduleCompaction();
    }

    private void RunFlush()
    {
        Interlocked.Exchange(ref _flushScheduled, 0);
        bool flushed = false;
        try
        {
            while (!state.IsClosed && state.GetSealed() is { Length: > 0 } waiting)
            {
                ulong epoch = waiting[0].Epoch;
                Flush([.. waiting.TakeWhile(buffer => buffer.Epoch == epoch)], waiting);
                flushed = true;
            }

            state.DiskIsFull = false;
        }
        catch (ObjectDisposedException)
        {
            return;
        }
        catch (DiskFullException error)
        {
            PauseForFullDisk(error, BackgroundKind.Flush, ScheduleFlush);
        }
        catch (Exception error)
        {
            state.Fail(error);
        }

        if (flushed)
        {
            Flushed?.Invoke();
            ScheduleCompaction();
        }
    }

    private void Flush(WriteBuffer[] buffers, WriteBuffer[] waiting)
    {
        foreach (WriteBuffer buffer in buffers)
        {
            buffer.WaitUntilQuiet();
        }

        SuperVersion version = state.Acquire(out int stripe);
        try
        {
            RangeDrop[] drops = version.Levels.Drops;
            ulong epoch = Math.Max(buffers[^1].Epoch, drops.Length > 0 ? drops[^1].Epoch : 0);
            var edit = new VersionEdit();
            IReadOnlyList<TableHandle> opened = WriteFlush(buffers, drops, epoch, edit);
            foreach (WriteBuffer buffer in buffers)
            {
                foreach ((uint stream, ulong position) in buffer.GetPositions())
                {
                    edit.Positions.RemoveAll(item => item.Stream == stream);
                    edit.Positions.Add((stream, position));
                }
            }

            // Records below the next memtable's are in tables now.
            WriteBuffer next = waiting.Length > buffers.Length ? waiting[buffers.Length] : FindAfter(buffers[^1], version);
            if (log is not null)
            {
                // The log must reach up to its floor, or new records would be written below it after a crash.
                log.Sync();
                edit.LogFloor = next.LogStart;
            }

            InstallOrDiscard(edit, opened, buffers);
            log?.TruncateBelow(next.LogStart);
            Interlocked.Increment(ref _flushes);
        }
        finally
        {
            version.Release(stripe);
        }
    }

    private static WriteBuffer FindAfter(WriteBuffer last, SuperVersion version)
    {
        int index = Array.IndexOf(version.Sealed, last);
        return index > 0 ? version.Sealed[index - 1] : version.Active;
    }

    private IReadOnlyList<TableHandle> WriteFlush(WriteBuffer[] buffers, RangeDrop[] drops, ulong epoch, VersionEdit edit)
    {
        var children = new List<InternalIterator>();
        foreach (WriteBuffer buffer in buffers.Reverse())
        {
            InternalIterator child = buffer.Table.CreateIterator();
            children.Add(drops.Any(drop => drop.Epoch > buffer.Epoch) ? new DropFilterIterator(child, drops, buffer.Epoch) : child);
        }

        using InternalIterator merge = MergingIterator.Create(children);
        var filter = new HistoryFilter(merge, state.Floor, static _ => false);
        return WriteTables(filter, epoch, long.MaxValue, null, edit, outputLevel: 0);
    }

    private IReadOnlyList<TableHandle> WriteTables(
        HistoryFilter filter, ulong epoch, long targetBytes, RateLimiter? limiter, VersionEdit edit, int outputLevel)
    {
        using var sink = new TableSink(_parts.Store, epoch, targetBytes, limiter);
        var opened = new List<TableHandle>();
        try
        {
            long count = 0;
            for (filter.SeekToFirst(); filter.Valid; filter.Next())
            {
                if (filter.IsNewKey && sink.IsFull)
                {
                    sink.Cut();
                }

                sink.Add(filter.Key, filter.Value);
                if ((++count & 1023) == 0)
                {
                    state.ThrowIfUnusable();
                }
            }

            foreach (TableMeta table in sink.Finish())
            {
                opened.Add(_parts.Store.Open(table));
                edit.AddedTables.Add((outputLevel, table));
            }

            Interlocked.Add(ref _bytesWritten, sink.BytesWritten);
            return opened;
        }
        catch
        {
            CloseAll(opened);
            sink.Discard();
            throw;
        }
    }

    // When the manifest is not written, the tables never were: they go again.
    private void InstallOrDiscard(VersionEdit edit, IReadOnlyList<TableHandle> opened, IReadOnlyList<WriteBuffer> flushed)
    {
        try
        {
            state.Install(edit, opened, flushed);
        }
        catch (DiskFullException)
        {
            CloseAll(opened);
            foreach (TableHandle table in opened)
            {
                _parts.Store.DeleteUnlisted(table.Meta.Number);
            }

            throw;
        }
    }

    private static void CloseAll(IEnumerable<TableHandle> opened)
    {
        foreach (TableHandle table in opened)
        {
            table.Retain();
            table.Release();
        }
    }

    private void RunCompaction()
    {
        Interlocked.Exchange(ref _compactionScheduled, 0);
        if (state.IsClosed)
        {
            return;
        }

        Compaction? compaction = null;
        try
        {
            lock (_compacting)
            {
                SuperVersion version = state.Acquire(out int stripe);
                try
                {
                    compaction = _picker.Pick(version.Levels, state.Floor, IsDamaged);
                    if (compaction is null)
                    {
                        return;
                    }

                    Compact(compaction, version.Levels);
                }
                finally
                {
                    version.Release(stripe);
                }
            }

            state.DiskIsFull = false;
        }
        catch (ObjectDisposedException)
        {
            return;
        }
        catch (DiskFullException error)
        {
            PauseForFullDisk(error, BackgroundKind.Compaction, ScheduleCompaction);
            return;
        }
        catch (TableWriteException error)
        {
            state.Fail(error);
            return;
        }
        catch (HengeException error) when (error.Code == ErrorCode.Corruption && compaction is not null)
        {
            SetAside(compaction, error);
        }
        catch (IOException error) when (compaction is not null)
        {
            SetAside(compaction, error);
        }
        catch (Exception error)
        {
            state.Fail(error);
            return;
        }

        // One job each, so that deletions have their turn in between.
        ScheduleCompaction();
    }

    private void Compact(Compaction compaction, LevelSet levels)
    {
        var edit = new VersionEdit();
        foreach (TableHandle table in compaction.Inputs)
        {
            edit.RemovedTables.Add((compaction.Level, table.Meta.Number));
        }

        foreach (TableHandle table in compaction.Overlapped)
        {
            edit.RemovedTables.Add((compaction.OutputLevel, table.Meta.Number));
        }

        if (compaction.IsMove)
        {
            edit.AddedTables.AddRange(compaction.Inputs.Select(table => (compaction.OutputLevel, table.Meta)));
            state.Install(edit, [], []);
        }
        else
        {
            IReadOnlyList<TableHandle> opened = Merge(compaction, levels, edit);
            InstallOrDiscard(edit, opened, []);
        }

        Interlocked.Increment(ref _compactions);
    }

    private IReadOnlyList<TableHandle> Merge(Compaction compaction, LevelSet levels, VersionEdit edit)
    {
        LsmOptions options = _parts.Options;
        var read = new TableReadOptions { FillCache = false, Sequential = true };
        var children = new List<InternalIterator>();
        foreach (TableHandle table in compaction.Level == 0 ? compaction.Inputs : [])
        {
            InternalIterator child = table.Reader.CreateIterator(read);
            children.Add(levels.Drops.Any(drop => drop.Touches(table.Meta)) ? new DropFilterIterator(child, levels.Drops, table.Meta.Epoch) : child);
        }

        if (compaction.Level != 0)
        {
            children.Add(new LevelIterator(compaction.Inputs, DropsOf(compaction.Inputs, levels), read));
        }

        if (compaction.Overlapped.Length > 0)
        {
            children.Add(new LevelIterator(compaction.Overlapped, DropsOf(compaction.Overlapped, levels), read));
        }

        // All drops known here are applied on the way, so that the output is of the last one's epoch.
        ulong epoch = compaction.AllInputs.Max(static table => table.Meta.Epoch);
        epoch = Math.Max(epoch, levels.Drops.Length > 0 ? levels.Drops[^1].Epoch : 0);
        RateLimiter? limiter = options.CompactionBytesPerSecond > 0
            ? new RateLimiter(options.CompactionBytesPerSecond, options.Time, _parts.Scheduler) : null;
        using InternalIterator merge = MergingIterator.Create(children);
        var below = new BelowCheck(levels, compaction.OutputLevel);
        var filter = new HistoryFilter(merge, state.Floor, below.IsClear);
        return WriteTables(filter, epoch, options.TargetTableBytes, limiter, edit, compaction.OutputLevel);
    }

    private static RangeDrop[]?[]? DropsOf(TableHandle[] tables, LevelSet levels) =>
        levels.Drops.Length == 0 ? null
            : Array.ConvertAll(tables, table => Array.FindAll(levels.Drops, drop => drop.Touches(table.Meta)) is { Length: > 0 } found ? found : null);

    private bool IsDamaged(TableHandle table)
    {
        lock (_damaged)
        {
            return _damaged.Contains(table.Meta.Number);
        }
    }

    // Reads of undamaged parts go on; the tables stay where they are until somebody restores them.
    private void SetAside(Compaction compaction, Exception error)
    {
        lock (_damaged)
        {
            _damaged.UnionWith(compaction.AllInputs.Select(static table => table.Meta.Number));
        }

        state.CompactionProblem = error;
        _parts.Log($"A compaction of {compaction} cannot be done, and its tables are left as they are: {error.Message}");
        state.Pulse();
    }

    private void PauseForFullDisk(DiskFullException error, BackgroundKind kind, Action again)
    {
        if (!state.DiskIsFull)
        {
            _parts.Log($"The disk under {_parts.Directory} is full; reads go on, and writes do while memory lasts: {error.Message}");
        }

        state.DiskIsFull = true;
        state.Pulse();
        _parts.Scheduler.ScheduleLater(kind, RetryDelay, again);
    }
}
