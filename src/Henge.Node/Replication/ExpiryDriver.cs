using Henge.Core;
using Henge.Node.StateMachine;

namespace Henge.Node.Replication;

/// <summary>
/// On the leader: has keys deleted whose time has come, through the log, each on the condition that it is still what was seen. One entry is
/// under way at a time; readers do not wait for it, since they judge expiry by the version that they read at. Belongs to the shard's
/// worker.
/// </summary>
internal sealed class ExpiryDriver(ShardReplica replica, ShardStateMachine machine)
{
    private const int IntervalTicks = 2;
    private const int MaxCommands = 1_000;
    private const int RepeatTicks = 500;
    private readonly EntryBuilder _entry = new();
    private Core.Version _underWay;
    private long _proposedAtTick;

    /// <summary>Looks now and then; only while the replica leads.</summary>
    public void Tick(TickSpan span)
    {
        if (!span.Reaches(IntervalTicks) || machine.HasBatch || replica.IsApplyHeld)
        {
            return;
        }

        if (_underWay > machine.LastVersion && span.Now - _proposedAtTick < RepeatTicks)
        {
            return;
        }

        // By the later of the time and the shard's versions: those may be ahead of the clock for a while, and what has ended for them is
        // visible to no reader any more.
        if (!replica.Node.Clock.IsKnown)
        {
            return;
        }

        long now = Math.Max(replica.Node.Clock.Now.Milliseconds, machine.LastVersion.Milliseconds);
        if (machine.NextDueMs > now)
        {
            return;
        }

        _entry.Clear();
        if (TryCollect(now) && replica.TryPropose(_entry))
        {
            _underWay = replica.LastLoggedVersion;
            _proposedAtTick = span.Now;
        }
    }

    private bool TryCollect(long now)
    {
        try
        {
            return machine.CollectDue(now, MaxCommands, _entry) > 0;
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            // The next leader deletes what is due.
            machine.ReportDamage(e);
            return false;
        }
    }
}
