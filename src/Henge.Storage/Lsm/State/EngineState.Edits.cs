using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.Settings;

namespace Henge.Storage.Lsm.State;

// Edits of the manifest: made durable, and then visible.
internal sealed partial class EngineState
{
    /// <summary>
    /// Drops a range: all that is in memory is sealed below a new epoch, and the drop is durable when this returns. Tables that lie wholly
    /// in the range go at once.
    /// </summary>
    public void DropRange(uint keyspace, ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper, ulong logEnd)
    {
        lock (_install)
        {
            ulong epoch;
            lock (_gate)
            {
                epoch = _epoch + 1;
                _epoch = epoch;

                // Also when it is empty: a batch may be under way in it.
                Seal(logEnd);
            }

            var drop = new RangeDrop(epoch, keyspace, lower, upper, logEnd);
            var edit = new VersionEdit();
            edit.AddedDrops.Add(drop);
            if (drop.IsWholeKeyspace)
            {
                edit.ForgottenKeyspaces.Add(keyspace);
            }

            for (int level = 0; level < LevelSet.LevelCount; level++)
            {
                foreach (TableHandle table in _levels.Levels[level].Where(table => drop.Covers(table.Meta)))
                {
                    edit.RemovedTables.Add((level, table.Meta.Number));
                }
            }

            TryInstallLocked(edit, [], []);
        }
    }

    /// <summary>
    /// Makes an edit durable and then visible: opened tables take the place of the flushed memtables and of the tables that the edit
    /// removes. False, with nothing changed, when a table that it removes is not there any more, because another thread has removed it:
    /// what the edit adds must be discarded then.
    /// </summary>
    public bool TryInstall(VersionEdit edit, IReadOnlyList<TableHandle> opened, IReadOnlyList<WriteBuffer> flushed)
    {
        lock (_install)
        {
            return TryInstallLocked(edit, opened, flushed);
        }
    }

    /// <summary>What the manifest says now, for a checkpoint, with the super version that goes with it.</summary>
    public (VersionEdit Edit, SuperVersion Version, int Stripe) CaptureManifest()
    {
        lock (_install)
        {
            SuperVersion version = Acquire(out int stripe);
            return (_manifestState.ToEdit(), version, stripe);
        }
    }

    private bool TryInstallLocked(VersionEdit edit, IReadOnlyList<TableHandle> opened, IReadOnlyList<WriteBuffer> flushed)
    {
        ThrowIfUnusable();
        edit.NextFileNumber = Parts.Store.PeekNumber;
        edit.HistoryFloor = Floor;
        lock (_gate)
        {
            edit.Epoch = _epoch;
        }

        AddVersions(edit, flushed);
        RetireDrops(edit, opened, flushed);

        // Before it is written: an edit that does not fit must never reach the disk, where every later start would meet it.
        if (!Fits(edit))
        {
            return false;
        }

        WriteManifest(edit);
        if (_manifestState.TryApply(edit) is { } problem)
        {
            throw FailWith(problem);
        }

        foreach (uint keyspace in edit.ForgottenKeyspaces)
        {
            Clocks.Reset(keyspace);
        }

        LevelSet old = _levels;
        _levels = old.With(edit, opened.ToDictionary(static table => table.Meta.Number));
        Volatile.Write(ref _durablePositions, new Dictionary<uint, ulong>(_manifestState.Positions));
        lock (_gate)
        {
            foreach (WriteBuffer buffer in flushed)
            {
                _floor = Math.Max(_floor, buffer.FloorAtSeal);
            }

            _sealed = [.. _sealed.Except(flushed)];
            Publish();
            UpdatePressure();
            Monitor.PulseAll(_gate);
        }

        old.Release();
        foreach (WriteBuffer buffer in flushed)
        {
            buffer.Table.Release();
        }

        return true;
    }

    private bool Fits(VersionEdit edit)
    {
        if (Parts.Options.Bugs.WritesUncheckedEdits || _manifestState.FindProblem(edit) is not { } problem)
        {
            return true;
        }

        return _manifestState.LacksRemovedTables(edit) ? false : throw FailWith(problem);
    }

    private HengeException FailWith(string problem)
    {
        var broken = new HengeException(ErrorCode.Internal, $"An edit of the manifest does not fit: {problem}.");
        Fail(broken);
        return broken;
    }

    // What the flushed memtables bring, and not what the clocks show by now: after a crash without a log of the engine's own, a clock that
    // is ahead of the data would let snapshots see what is applied again behind them. Nor more than the clocks show, nor what a drop of the
    // whole keyspace has set back.
    private void AddVersions(VersionEdit edit, IReadOnlyList<WriteBuffer> flushed)
    {
        foreach (WriteBuffer buffer in flushed)
        {
            foreach ((uint keyspace, Core.Version newest) in buffer.GetVersions())
            {
                Core.Version shown = Clocks.Read(keyspace);
                Core.Version version = newest < shown ? newest : shown;
                bool forgotten = _levels.Drops.Any(drop => drop.Epoch > buffer.Epoch && drop.Keyspace == keyspace && drop.IsWholeKeyspace);
                if (!forgotten && version > _manifestState.KeyspaceVersions.GetValueOrDefault(keyspace))
                {
                    edit.KeyspaceVersions.Add((keyspace, version));
                }
            }
        }
    }

    // A drop is done with when nothing of an earlier epoch is left in its range.
    private void RetireDrops(VersionEdit edit, IReadOnlyList<TableHandle> opened, IReadOnlyList<WriteBuffer> flushed)
    {
        if (_levels.Drops.Length == 0)
        {
            return;
        }

        ulong oldest;
        lock (_gate)
        {
            oldest = _sealed.Except(flushed).Append(_active).Min(static buffer => buffer.Epoch);
        }

        var removed = edit.RemovedTables.Select(static item => item.Number).ToHashSet();
        foreach (RangeDrop drop in _levels.Drops)
        {
            bool needed = oldest < drop.Epoch
                || opened.Any(table => drop.Touches(table.Meta))
                || edit.AddedTables.Any(item => drop.Touches(item.Table))
                || _levels.Levels.Any(level => level.Any(table => drop.Touches(table.Meta) && !removed.Contains(table.Meta.Number)));
            if (!needed)
            {
                edit.RetiredDrops.Add(drop.Epoch);
            }
        }
    }

    private void WriteManifest(VersionEdit edit)
    {
        if (_manifestMustRoll || _manifest.Length > Parts.Options.ManifestRollBytes)
        {
            RollManifest();
        }

        try
        {
            _manifest.Append(edit);
        }
        catch (DiskFullException)
        {
            // Part of the record may be there, and nothing may follow it: what comes next goes into a new manifest.
            _manifestMustRoll = true;
            throw;
        }
        catch (Exception error)
        {
            Fail(new IOException($"The manifest could not be written: {error.Message}", error));
            throw;
        }
    }

    private void RollManifest()
    {
        ulong number = Parts.Store.NextNumber();
        VersionEdit all = _manifestState.ToEdit();
        all.NextFileNumber = Parts.Store.PeekNumber;
        ManifestFile next;
        try
        {
            next = ManifestFile.Create(Parts.Files, Parts.Directory, number, all);
        }
        catch (DiskFullException)
        {
            Parts.Obsolete.Add(EngineFiles.Manifest(number));
            throw;
        }
        catch (Exception error)
        {
            Fail(new IOException($"A new manifest could not be written: {error.Message}", error));
            throw;
        }

        try
        {
            ManifestFile.SwitchTo(Parts.Files, Parts.Directory, number);
        }
        catch (Exception error)
        {
            // Which of the two counts after a crash is not known.
            next.Dispose();
            if (error is DiskFullException)
            {
                Parts.Log("The disk is too full to switch manifests.");
            }

            Fail(new IOException($"The switch to a new manifest failed: {error.Message}", error));
            throw;
        }

        _manifest.Dispose();
        Parts.Obsolete.Add(EngineFiles.Manifest(_manifest.Number));
        _manifest = next;
        _manifestMustRoll = false;
    }
}
