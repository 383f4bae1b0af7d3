using Henge.Core;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Files;
using Henge.Storage.Logs;
using Henge.Storage.Lsm.Manifests;

namespace Henge.Storage.Bitcask.State;

/// <summary>Syncs, and what ends a segment.</summary>
internal sealed partial class BatchWriter
{
    // One background sync at a time: of two, the later would have nothing to do.
    private readonly Lock _syncLock = new();

    /// <summary>
    /// Makes all that was applied before durable. Writers go on beside it: only what they have to do with it waits for a moment.
    /// </summary>
    public void Sync()
    {
        // The view keeps the file open, should the segment be sealed and merged away meanwhile.
        IndexView view = _state.Acquire(out int stripe);
        try
        {
            lock (_syncLock)
            {
                SyncOnce();
            }
        }
        finally
        {
            view.Release(stripe);
        }
    }

    /// <summary>Seals the segment that is written to, if anything is in it.</summary>
    /// <exception cref="HengeException"><see cref="ErrorCode.DiskFull"/>: there is no room for another.</exception>
    public void SealActive()
    {
        lock (Gate)
        {
            ThrowIfUnusable();
            if (_end > LogFormat.SegmentHeaderBytes)
            {
                RollOrThrow(drop: null);
            }
        }
    }

    /// <summary>
    /// Ends writing when the engine is closed: seals what was written, so that all of it is known to be whole, and lets go of the indexes.
    /// </summary>
    public void Close()
    {
        lock (Gate)
        {
            if (_isClosed)
            {
                return;
            }

            _isClosed = true;
            try
            {
                if (!_state.HasFailed && _end > LogFormat.SegmentHeaderBytes)
                {
                    SyncLocked();
                    _state.Install(change =>
                    {
                        change.Segments.RemoveAll(listed => listed.Id == _active.Id);
                        change.Segments.Add(new ListedSegment(_active.Id, _active.Epoch, _end));
                        change.Positions = new Dictionary<uint, ulong>(_positions);
                    });
                }
            }
            catch (IOException)
            {
                // Nobody waits for these bytes: what was acknowledged had been synced. The next open sorts out the tail.
            }

            foreach (KeyspaceIndex index in _indexes.Values)
            {
                index.Table.Release();
            }

            _indexes.Clear();
        }
    }

    private void SyncOnce()
    {
        Segment segment;
        uint end;
        Dictionary<uint, ulong> positions;
        long change;
        Core.Version floor;
        lock (Gate)
        {
            ThrowIfUnusable();
            WriteHeld();
            floor = _state.RequestedFloor;
            segment = _active;
            end = _end;
            lock (_positionsLock)
            {
                positions = new Dictionary<uint, ulong>(_positions);
                change = _positionChanges;
            }

            if (end == _durableEnd)
            {
                MakePositionsDurable(positions, change);
                _state.RaiseDurableFloor(floor);
                return;
            }
        }

        SyncFile(segment);
        lock (Gate)
        {
            // Otherwise the segment was sealed meanwhile, which made more durable than this.
            if (segment == _active)
            {
                lock (_positionsLock)
                {
                    _durableEnd = Math.Max(_durableEnd, end);
                }
            }

            MakePositionsDurable(positions, change);
            _state.RaiseDurableFloor(floor);
        }
    }

    private ulong RollOrThrow(RangeDrop? drop)
    {
        try
        {
            return Roll(drop);
        }
        catch (DiskFullException error)
        {
            throw new HengeException(
                ErrorCode.DiskFull,
                $"The disk under {_state.Directory} is full, so no segment could be begun; nothing was changed. Make room and try again.",
                error);
        }
    }

    /// <summary>
    /// Ends the segment: makes it durable, begins another, and lists both, in one change of the manifest. An empty one stays, in a later
    /// epoch if a drop says so.
    /// </summary>
    /// <returns>The epoch of what is written from here on.</returns>
    private ulong Roll(RangeDrop? drop)
    {
        SyncLocked();
        Segment old = _active;
        bool isEmpty = _end == LogFormat.SegmentHeaderBytes;
        Core.Version floor = _state.RequestedFloor;
        Segment next = isEmpty ? old : _state.Store.Create();
        if (!isEmpty)
        {
            _state.AddSegment(next);
        }

        SegmentManifest manifest;
        try
        {
            manifest = _state.Install(change =>
            {
                if (drop is not null)
                {
                    change.Epoch++;
                    if (drop.IsWholeKeyspace)
                    {
                        change.Drops.RemoveAll(earlier => earlier.Keyspace == drop.Keyspace);
                    }

                    change.Drops.Add(new RangeDrop(change.Epoch, drop.Keyspace, drop.Lower, drop.Upper, 0));
                }

                change.Segments.RemoveAll(listed => listed.Id == old.Id);
                if (!isEmpty)
                {
                    change.Segments.Add(new ListedSegment(old.Id, old.Epoch, _end));
                }

                change.Segments.Add(new ListedSegment(next.Id, change.Epoch, 0));
                lock (_positionsLock)
                {
                    change.Positions = new Dictionary<uint, ulong>(_positions);
                }
            });
        }
        catch
        {
            if (!isEmpty)
            {
                _state.Discard(next);
            }

            throw;
        }

        next.Epoch = manifest.Epoch;
        _state.RaiseDurableFloor(floor);
        MakePositionsDurable();
        if (isEmpty)
        {
            return manifest.Epoch;
        }

        old.IsSealed = true;
        lock (_positionsLock)
        {
            _active = next;
            _end = LogFormat.SegmentHeaderBytes;
            _durableEnd = LogFormat.SegmentHeaderBytes;
            _markedEnd = LogFormat.SegmentHeaderBytes;
        }

        SyncDue();
        MergeDue();
        return manifest.Epoch;
    }

    private void SyncLocked()
    {
        if (_durableEnd == _end)
        {
            return;
        }

        WriteHeld();
        SyncFile(_active);
        lock (_positionsLock)
        {
            _durableEnd = _end;
        }
    }

    private void SyncFile(Segment segment)
    {
        try
        {
            segment.File.Sync();
        }
        catch (DiskFullException error)
        {
            // Noticed too late: what is durable is not known any more.
            var failure = new IOException($"A segment could not be synced: {error.Message}", error);
            _state.Fail(failure);
            throw failure;
        }
        catch (IOException error)
        {
            _state.Fail(error);
            throw;
        }
    }

    private void MakePositionsDurable(Dictionary<uint, ulong> positions, long change)
    {
        lock (_positionsLock)
        {
            if (change > _durableChanges)
            {
                _durableChanges = change;
                _durablePositions = positions;
            }
        }
    }

    // All that was applied is durable.
    private void MakePositionsDurable()
    {
        lock (_positionsLock)
        {
            if (_durableChanges == _positionChanges)
            {
                return;
            }

            _durableChanges = _positionChanges;
            foreach ((uint stream, ulong position) in _positions)
            {
                _durablePositions[stream] = position;
            }
        }
    }

    private void ThrowIfUnusable()
    {
        _state.ThrowIfUnusable();
        ObjectDisposedException.ThrowIf(_isClosed, this);
    }
}
