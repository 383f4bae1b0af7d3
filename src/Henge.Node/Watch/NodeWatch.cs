using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.StateMachine;

namespace Henge.Node.Watch;

/// <summary>
/// A watch over shards, of which this node carries some and other nodes the rest: events of each shard in the order of versions, each once;
/// events of one version (a transaction) always together, even over a limit. A shard that the node lets go of while it is watched comes
/// from another node from then on.
/// </summary>
internal sealed partial class NodeWatch : IWatch
{
    private readonly WatchQuery _query;
    private readonly KeyRange _range;
    private readonly WatchOptions _options;
    private readonly HistoryBudget _budget;
    private readonly List<ShardCursor> _cursors;
    private readonly NodeWatchParts _parts;
    private readonly Action _onAvailable;
    private readonly Lock _lock = new();
    private readonly List<ShardPosition> _positions = [];
    private IRemoteShards? _remote;
    private int _nextSource;
    private int _signalled;
    private Core.Version _lastMark;
    private bool _isOpen = true;
    private bool _hasLeft;
    private bool _disposed;

    public NodeWatch(
        WatchQuery query,
        NodeWatchParts parts,
        IReadOnlyList<(ShardStateMachine Machine, Core.Version Next)> local,
        IReadOnlyList<ShardPosition> remote,
        Action onAvailable)
    {
        _query = query;
        _parts = parts;
        _options = parts.Options;
        _budget = parts.Budget;
        _range = KeyRange.Between(query.Lower, query.Upper);
        _onAvailable = onAvailable;
        _cursors = [.. local.Select(s => NewCursor(s.Machine, s.Next))];
        if (remote.Count > 0)
        {
            _isOpen = false;
            _remote = parts.Remotes!.Create(query, mustOpen: true, Signal);
            foreach (ShardPosition position in remote)
            {
                _remote.TryAdd(position, isGoneHere: false);
            }
        }
    }

    /// <inheritdoc/>
    public byte[] ResumeToken
    {
        get
        {
            lock (_lock)
            {
                if (!_isOpen)
                {
                    throw new InvalidOperationException("The watch is not open: it is not known yet where it begins.");
                }

                _positions.Clear();
                AddPositions(_positions);
                _positions.Sort(static (a, b) => a.Shard.Value.CompareTo(b.Shard.Value));
                return Watch.ResumeToken.Encode([.. _positions.Select(static p => (p.Shard, p.Next))]);
            }
        }
    }

    /// <summary>True when the last read found nothing more, and nothing was published since.</summary>
    public bool IsCaughtUp
    {
        get
        {
            lock (_lock)
            {
                return _isOpen
                    && _cursors.TrueForAll(static c => c.Pass is null && c.Hub.PositionOf(c) > c.Hub.Published)
                    && _remote is not { IsDrained: false };
            }
        }
    }

    /// <inheritdoc/>
    public bool TryOpen()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (!_isOpen)
            {
                Volatile.Write(ref _signalled, 0);
                _isOpen = _remote!.TryOpen();
            }

            return _isOpen;
        }
    }

    /// <inheritdoc/>
    public bool TryRead(IWatchReceiver receiver, int limitItems, int limitBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(limitItems, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(limitBytes, 1);
        try
        {
            return TryOpen() && ReadAvailable(receiver, limitItems, limitBytes);
        }
        catch (HengeException e) when (e.Code == ErrorCode.HistoryGone)
        {
            _parts.OnLost();
            throw;
        }
    }

    /// <summary>Adds where it stands in each shard, in no order.</summary>
    public void CopyPositions(List<ShardPosition> positions)
    {
        lock (_lock)
        {
            AddPositions(positions);
        }
    }

    /// <summary>Takes a shard from other nodes from now on, if it is taken from this one; else false. For the simulator.</summary>
    internal bool TryLeave(ShardId shard)
    {
        lock (_lock)
        {
            return !_disposed
                && _isOpen
                && _cursors.Find(c => c.Machine.Shard == shard) is { } cursor
                && TryLeave(cursor, isGoneHere: false)
                && _cursors.Remove(cursor);
        }
    }

    private bool ReadAvailable(IWatchReceiver receiver, int limitItems, int limitBytes)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            Volatile.Write(ref _signalled, 0);
            var budget = new ReadBudget(limitItems, limitBytes);
            TakeHome();
            if (!CollectHistory())
            {
                // While it collects, nothing else goes out: a caller that is held up by its own client must not hold the engine's memory.
                Signal();
                return false;
            }

            bool unfinished = ReadSources(receiver, ref budget);
            if (!budget.IsLeft)
            {
                return true;
            }

            bool marked = !unfinished && TryMark(receiver);
            if (budget.IsTouched || marked)
            {
                return true;
            }

            if (unfinished || !WaitForAll())
            {
                Signal();
            }

            return false;
        }
    }

    // Each call begins with another source, so that a busy one does not starve the rest. True when one of them has more to do before it is
    // caught up.
    private bool ReadSources(IWatchReceiver receiver, ref ReadBudget budget)
    {
        bool unfinished = false;
        int count = _cursors.Count + 1;
        int first = _nextSource++ % count;
        try
        {
            for (int i = 0; i < count && budget.IsLeft; i++)
            {
                int at = (first + i) % count;
                if (at == count - 1)
                {
                    _remote?.Read(receiver, ref budget);
                    continue;
                }

                ShardCursor cursor = _cursors[at];
                unfinished |= !cursor.Hub.IsWaiting(cursor) && !TryReadCursor(cursor, receiver, ref budget);
            }
        }
        finally
        {
            _nextSource %= count;
            if (_hasLeft)
            {
                _hasLeft = false;
                _cursors.RemoveAll(static c => c.HasLeft);
            }
        }

        return unfinished;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }

            Volatile.Write(ref _disposed, true);
            foreach (ShardCursor cursor in _cursors)
            {
                cursor.Hub.RemoveReader(cursor);
                cursor.Pass?.Dispose();
                cursor.Pass = null;
            }

            _remote?.Dispose();
        }

        _parts.OnClosed();
    }

    private void AddPositions(List<ShardPosition> positions)
    {
        foreach (ShardCursor cursor in _cursors)
        {
            positions.Add(new ShardPosition(cursor.Machine.Shard, cursor.Hub.PositionOf(cursor)));
        }

        _remote?.CopyPositions(positions);
    }

    private ShardCursor NewCursor(ShardStateMachine machine, Core.Version next)
    {
        var cursor = new ShardCursor(machine, next, _range, _query.Progress, Signal);
        cursor.Hub.AddReader(cursor);
        return cursor;
    }

    // Shards that this node carries by now, and is not behind in.
    private void TakeHome()
    {
        if (_remote is not { IsEmpty: false } remote)
        {
            return;
        }

        _positions.Clear();
        remote.TakeHome(
            position => _parts.MachineOf(position.Shard) is { } machine
                && machine.LastVersion.Next >= position.Next
                && machine.HistoryFloor < position.Next,
            _positions);
        foreach (ShardPosition position in _positions)
        {
            if (_parts.MachineOf(position.Shard) is { } machine)
            {
                _cursors.Add(NewCursor(machine, position.Next));
            }
            else
            {
                remote.TryAdd(position, isGoneHere: false);
            }
        }
    }

    // From where the cursor stands, other nodes give the events. False when none is known that could.
    private bool TryLeave(ShardCursor cursor, bool isGoneHere)
    {
        IRemoteShards? remote = _remote ??= _parts.Remotes?.Create(_query, mustOpen: false, Signal);
        if (remote is null || !remote.TryAdd(new ShardPosition(cursor.Machine.Shard, cursor.Hub.PositionOf(cursor)), isGoneHere))
        {
            return false;
        }

        if (_inHistory == cursor)
        {
            EndHistory();
        }

        cursor.HasLeft = _hasLeft = true;
        cursor.Hub.RemoveReader(cursor);
        return true;
    }

    private bool TryMark(IWatchReceiver receiver)
    {
        if (!_query.Progress)
        {
            return false;
        }

        ulong reached = _remote is { IsEmpty: false } remote ? remote.LowestPosition.Value : ulong.MaxValue;
        foreach (ShardCursor cursor in _cursors)
        {
            reached = Math.Min(reached, cursor.Hub.PositionOf(cursor).Value);
        }

        var mark = new Core.Version(reached - 1);
        if (mark <= _lastMark || (!_lastMark.IsZero && mark.Milliseconds - _lastMark.Milliseconds < _options.ProgressMs))
        {
            return false;
        }

        _lastMark = mark;
        receiver.OnEvent(new WatchEventView { Reason = WatchReason.Progress, Version = mark });
        return true;
    }

    private bool WaitForAll()
    {
        foreach (ShardCursor cursor in _cursors)
        {
            if (!cursor.Hub.Wait(cursor))
            {
                return false;
            }
        }

        return true;
    }

    // At most once between two reads.
    private void Signal()
    {
        if (!Volatile.Read(ref _disposed) && Interlocked.Exchange(ref _signalled, 1) == 0)
        {
            _onAvailable();
        }
    }
}
