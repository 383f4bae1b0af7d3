using System.Buffers;
using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Storage;

namespace Henge.Node.Watch;

// Shards that this node carries. Within the ring of recent events the watch follows the hub; further back it reads history, and comes back.
internal sealed partial class NodeWatch
{
    private readonly ArrayBufferWriter<byte> _buffer = new();
    private ShardCursor? _inHistory;
    private bool _isWithinVersion;

    // What it reads of the past may be damaged: the replica must know. And the replica may go while it is read.
    private bool TryReadCursor(ShardCursor cursor, IWatchReceiver receiver, ref ReadBudget budget)
    {
        _isWithinVersion = false;
        try
        {
            return ReadShard(cursor, receiver, ref budget);
        }
        catch (HengeException) when (cursor.Hub.IsClosed && !IsWithinVersion(cursor) && TryLeave(cursor, isGoneHere: false))
        {
            return true;
        }
        catch (HengeException e)
            when (e.Code == ErrorCode.HistoryGone
                && cursor.Machine.KeepsLess
                && !IsWithinVersion(cursor)
                && TryLeave(cursor, isGoneHere: true))
        {
            // The replica was made from a snapshot: it keeps less than others do.
            return true;
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            cursor.Machine.ReportDamage(e);
            throw;
        }
    }

    // What was given of a version that was not given whole comes again, so from elsewhere it must not go on by itself.
    private bool IsWithinVersion(ShardCursor cursor) => _isWithinVersion || cursor.Pass is { IsWithinVersion: true };

    // False when there is more work to do for this shard before it is caught up.
    private bool ReadShard(ShardCursor cursor, IWatchReceiver receiver, ref ReadBudget budget)
    {
        while (budget.IsLeft)
        {
            if (cursor.Hub.IsClosed)
            {
                return TryLeave(cursor, isGoneHere: false) ? true : throw NotCarried(cursor.Machine.Shard);
            }

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

    private void DeliverHistory(ShardCursor cursor, IWatchReceiver receiver, ref ReadBudget budget)
    {
        HistoryPass pass = cursor.Pass!;
        if (pass.IsStale)
        {
            EndHistory();
            return;
        }

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

    private void DeliverRecent(ShardCursor cursor, Core.Version from, IWatchReceiver receiver, ref ReadBudget budget)
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
                _isWithinVersion = false;
            }

            budget.Take(1, DeliverRecord(cursor, record, receiver));
            _isWithinVersion = true;
        }

        _isWithinVersion = false;
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

    private static HengeException NotCarried(ShardId shard) =>
        new(
            ErrorCode.Unavailable,
            $"This node does not carry shard {shard} any more, and knows no other one that does. Go on with the watch at another node.");
}
