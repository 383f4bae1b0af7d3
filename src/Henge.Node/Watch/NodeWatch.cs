using System.Buffers;
using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Storage;

namespace Henge.Node.Watch;

/// <summary>
/// A watch over the shards of a node: events of each shard in the order of versions, each once; events of one version (a transaction)
/// always together, even over a limit. Within the ring of recent events it follows the hub; further back it reads history, and comes back.
/// </summary>
internal sealed class NodeWatch : IWatch
{
    private readonly WatchQuery _query;
    private readonly KeyRange _range;
    private readonly WatchOptions _options;
    private readonly HistoryBudget _budget;
    private readonly ShardCursor[] _cursors;
    private readonly Action _onAvailable;
    private readonly Action _onClosed;
    private readonly Action _onLost;
    private readonly Lock _lock = new();
    private readonly ArrayBufferWriter<byte> _buffer = new();
    private ShardCursor? _inHistory;
    private int _nextCursor;
    private int _signalled;
    private Core.Version _lastMark;
    private bool _disposed;

    public NodeWatch(
        WatchQuery query,
        WatchOptions options,
        HistoryBudget budget,
        IReadOnlyList<(ShardStateMachine Machine, Core.Version Next)> shards,
        Action onAvailable,
        Action onClosed,
        Action onLost)
    {
        _query = query;
        _options = options;
        _budget = budget;
        _range = KeyRange.Between(query.Lower, query.Upper);
        _onAvailable = onAvailable;
        _onClosed = onClosed;
        _onLost = onLost;
        _cursors = [.. shards.Select(s => new ShardCursor(s.Machine, s.Next, _range, query.Progress, Signal))];
        foreach (ShardCursor cursor in _cursors)
        {
            cursor.Hub.AddReader(cursor);
        }
    }

    /// <inheritdoc/>
    public byte[] ResumeToken
    {
        get
        {
            lock (_lock)
            {
                return Watch.ResumeToken.Encode([.. _cursors.Select(static c => (c.Machine.Shard, c.Hub.PositionOf(c)))]);
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
                return Array.TrueForAll(_cursors, static c => c.Pass is null && c.Hub.PositionOf(c) > c.Hub.Published);
            }
        }
    }

    /// <inheritdoc/>
    public bool TryRead(IWatchReceiver receiver, int limitItems, int limitBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(limitItems, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(limitBytes, 1);
        try
        {
            return ReadAvailable(receiver, limitItems, limitBytes);
        }
        catch (HengeException e) when (e.Code == ErrorCode.HistoryGone)
        {
            _onLost();
            throw;
        }
    }

    private bool ReadAvailable(IWatchReceiver receiver, int limitItems, int limitBytes)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            Volatile.Write(ref _signalled, 0);
            var budget = new Budget(limitItems, limitBytes);
            if (!CollectHistory())
            {
                // While it collects, nothing else goes out: a caller that is held up by its own client must not hold the engine's memory.
                Signal();
                return false;
            }

            bool unfinished = false;
            for (int i = 0; i < _cursors.Length && budget.IsLeft; i++)
            {
                // Each call begins with another shard, so that a busy one does not starve the rest.
                ShardCursor cursor = _cursors[(_nextCursor + i) % _cursors.Length];
                unfinished |= !cursor.Hub.IsWaiting(cursor) && !TryReadCursor(cursor, receiver, ref budget);
            }

            _nextCursor = (_nextCursor + 1) % _cursors.Length;
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
        }

        _onClosed();
    }

    // What it reads of the past may be damaged: the replica must know.
    private bool TryReadCursor(ShardCursor cursor, IWatchReceiver receiver, ref Budget budget)
    {
        try
        {
            return ReadShard(cursor, receiver, ref budget);
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            cursor.Machine.ReportDamage(e);
            throw;
        }
    }

    // False when there is more work to do for this shard before it is caught up.
    private bool ReadShard(ShardCursor cursor, IWatchReceiver receiver, ref Budget budget)
    {
        while (budget.IsLeft)
        {
            if (_inHistory == cursor)
            {
                DeliverHistory(cursor, receiver, ref budget);
                continue;
            }

            _buffer.ResetWrittenCount();
            cursor.SeenPublished = cursor.Hub.Published;
            Core.Version from = cursor.Next;
            WatchHub.RingAnswer answer = cursor.Hub.Read(cursor, _range, _buffer, budget.Items, budget.Bytes);
            if (answer == WatchHub.RingAnswer.Behind)
            {
                if (_inHistory is not null || budget.IsTouched)
                {
                    // One shard at a time, and in a call of its own.
                    return false;
                }

                cursor.Pass = HistoryPass.Begin(cursor.Machine, _budget, _range, cursor.Next);
                _inHistory = cursor;
                if (!CollectHistory())
                {
                    return false;
                }

                continue;
            }

            DeliverRecent(cursor, from, receiver, ref budget);
            if (answer == WatchHub.RingAnswer.CaughtUp)
            {
                return cursor.SeenPublished == cursor.Hub.Published;
            }
        }

        return false;
    }

    // False when the pass that is under way needs more steps.
    private bool CollectHistory()
    {
        if (_inHistory is not { Pass: { } pass })
        {
            return true;
        }

        if (pass.IsStale)
        {
            EndHistory();
            return true;
        }

        try
        {
            return pass.Collect(_options.HistorySteps);
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            _inHistory.Machine.ReportDamage(e);
            throw;
        }
    }

    private void DeliverHistory(ShardCursor cursor, IWatchReceiver receiver, ref Budget budget)
    {
        HistoryPass pass = cursor.Pass!;
        while (budget.IsLeft && pass.TryDeliver(receiver, _query.PreviousValues, out Core.Version version, out int items, out int bytes))
        {
            cursor.Next = version.Next;
            budget.Take(items, bytes);
        }

        if (pass.IsDone)
        {
            cursor.Next = cursor.Next > pass.End ? cursor.Next : pass.End;
            if (cursor.Machine.Bugs.LosesWatchEventAtSeam)
            {
                cursor.Next = new Core.Version(cursor.Next.Value + (1 << Core.Version.CounterBits));
            }

            EndHistory();
        }
    }

    private void EndHistory()
    {
        _inHistory!.Pass!.Dispose();
        _inHistory.Pass = null;
        _inHistory = null;
    }

    private void DeliverRecent(ShardCursor cursor, Core.Version from, IWatchReceiver receiver, ref Budget budget)
    {
        Core.Version reached = cursor.Next;
        long position = cursor.RingPosition;

        // Should giving fail, the next call begins again with the version that was not given whole.
        cursor.Next = from;
        cursor.RingPosition = 0;
        ReadOnlySpan<byte> rest = _buffer.WrittenSpan;
        while (!rest.IsEmpty)
        {
            int length = (int)BinaryPrimitives.ReadUInt32LittleEndian(rest);
            ReadOnlySpan<byte> record = rest[..length];
            rest = rest[length..];
            Core.Version version = EventRecord.Version(record);
            if (version > cursor.Next)
            {
                // All events of the versions before were given.
                cursor.Next = version;
            }

            budget.Take(1, DeliverRecord(cursor, record, receiver));
        }

        cursor.Next = reached;
        cursor.RingPosition = position;
    }

    private int DeliverRecord(ShardCursor cursor, ReadOnlySpan<byte> record, IWatchReceiver receiver)
    {
        ReadOnlySpan<byte> key = EventRecord.Key(record);
        ReadOnlySpan<byte> value = EventRecord.Value(record);
        Core.Version version = EventRecord.Version(record);
        WatchReason reason = EventRecord.Reason(record);
        PinnedValue large = default;
        PinnedValue previous = default;
        try
        {
            if (EventRecord.ByReference(record))
            {
                large = ReadLarge(cursor, key, version);
                value = large.Span;
            }

            bool had = _query.PreviousValues && TryPrevious(cursor, key, version, reason, out previous);
            receiver.OnEvent(new WatchEventView
            {
                Reason = reason,
                Key = key,
                Value = value,
                Type = EventRecord.Type(record),
                Version = version,
                ExpiresAtMs = EventRecord.ExpiresAtMs(record),
                HasPrevious = had,
                PreviousValue = had ? previous.Span : default,
                PreviousType = had ? previous.Type : default,
                PreviousVersion = had ? previous.Version : default,
            });
            return key.Length + value.Length + (had ? previous.Span.Length : 0);
        }
        finally
        {
            large.Dispose();
            previous.Dispose();
        }
    }

    private static PinnedValue ReadLarge(ShardCursor cursor, ReadOnlySpan<byte> key, Core.Version version)
    {
        uint keyspace = SystemKeys.UserKeyspace(cursor.Machine.Shard);
        bool found = cursor.Machine.Engine.TryGet(keyspace, key, new ReadPoint(version, 0), out PinnedValue value);
        if (found && value.Version == version)
        {
            return value;
        }

        value.Dispose();
        throw new HengeException(
            ErrorCode.HistoryGone,
            $"The value of version {version} is not kept any more: the watch fell too far behind. Read the keys as they are now, and watch "
                + $"from there.");
    }

    private static bool TryPrevious(
        ShardCursor cursor,
        ReadOnlySpan<byte> key,
        Core.Version version,
        WatchReason reason,
        out PinnedValue previous)
    {
        ShardStateMachine machine = cursor.Machine;
        int epoch = machine.Epoch;
        var before = new Core.Version(version.Value - 1);
        var point = new ReadPoint(before, reason == WatchReason.Expired ? 0 : version.Milliseconds);
        if (!machine.Engine.TryGet(SystemKeys.UserKeyspace(machine.Shard), key, point, out previous))
        {
            return false;
        }

        // Below the floor the engine may have dropped just that version, and would give an older one.
        if ((epoch & 1) == 0 && machine.Epoch == epoch && before >= machine.HistoryFloor)
        {
            return true;
        }

        previous.Dispose();
        previous = default;
        return false;
    }

    private bool TryMark(IWatchReceiver receiver)
    {
        if (!_query.Progress)
        {
            return false;
        }

        ulong reached = _cursors.Min(static c => c.Hub.PositionOf(c).Value) - 1;
        var mark = new Core.Version(reached);
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

    /// <summary>What may still be given in one call.</summary>
    private struct Budget(int items, int bytes)
    {
        public int Items { get; private set; } = items;

        public int Bytes { get; private set; } = bytes;

        public bool IsTouched { get; private set; }

        public readonly bool IsLeft => Items > 0 && Bytes > 0;

        public void Take(int items, int bytes)
        {
            Items = Math.Max(0, Items - items);
            Bytes = Math.Max(0, Bytes - bytes);
            IsTouched |= items > 0;
        }
    }
}
