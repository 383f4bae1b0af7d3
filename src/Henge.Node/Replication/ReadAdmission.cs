using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>
/// What a read of a shard has to wait for, and at which version it is served: the read barrier unless it is content with what is stale, then the version
/// that it wants, if it names one. Belongs to the shard's worker.
/// </summary>
internal sealed class ReadAdmission(ShardReplica replica, ShardStateMachine machine, ReadQueue reads, VersionWaiters versions)
{
    private readonly bool _byClock = replica.Node.Members.Count == 1 || (replica.Node.Options.Bugs & Hosting.NodeBugs.ExpireByOwnClock) != 0;
    private Core.Version _judgedAt;

    /// <summary>Takes a read in.</summary>
    public void Add(Operation operation)
    {
        if (operation.Consistency == ReadConsistency.Default)
        {
            operation.Consistency = replica.Node.Options.Reads;
        }

        if (operation is ShardBarrier { Phase: BarrierPhase.Close })
        {
            operation.Version = operation.ReadVersion;
            if (operation.Version <= machine.LastVersion)
            {
                replica.Worker.Complete(operation);
            }
            else
            {
                versions.Add(operation);
            }
        }
        else if (operation.Consistency == ReadConsistency.Stale)
        {
            OnReadable(operation);
        }
        else if (operation.LeaderOnly && replica.Group.Role != RaftRole.Leader && !replica.Group.Leader.IsNone)
        {
            replica.FailNotLeader(operation);
        }
        else
        {
            reads.Add(operation);
        }
    }

    // What has expired is judged by the shard's versions, which the leader moves past each expiry, and not by this node's clock: two reads one after the other, by nodes whose clocks differ,
    // must not see a key gone and then there (docs/decisions/0135). A node that is alone has one clock; what it has judged by once, it does not go back behind.
    private Core.Version Latest(Core.Version applied)
    {
        Core.Version now = replica.Node.Clock.Now;
        _judgedAt = now > _judgedAt ? now : _judgedAt;
        return _judgedAt > applied ? _judgedAt : applied;
    }

    /// <summary>A read may be served now: everything acknowledged before it came is applied.</summary>
    public void OnReadable(Operation operation)
    {
        Core.Version applied = machine.LastVersion;
        if (operation is ShardBarrier { Phase: BarrierPhase.Collect })
        {
            operation.Version = applied;
            replica.Worker.Complete(operation);
            return;
        }

        Core.Version wanted = operation.ReadVersion;
        if (wanted.IsZero && operation.Kind == OperationKind.Get)
        {
            operation.Version = operation.Consistency == ReadConsistency.Stale || _byClock ? Latest(applied) : applied;
            replica.Worker.Complete(operation);
            return;
        }

        Core.Version now = replica.Node.Clock.Now;
        if (wanted.IsZero)
        {
            operation.Version = now > applied ? now : applied;
        }
        else
        {
            if (wanted < machine.HistoryFloor)
            {
                replica.Worker.Fail(operation, ErrorCode.HistoryGone, $"Version {wanted} is below the history that is kept, which begins at {machine.HistoryFloor} ({machine.HistoryFloor.ToTime():O}). Read at that version or a later one, or keep a longer history.");
                return;
            }

            // While the time is not known it is the leader who judges.
            if (replica.Node.Clock.IsKnown && wanted > now && wanted > applied)
            {
                replica.Worker.Fail(operation, ErrorCode.InvalidArgument, $"Version {wanted} ({wanted.ToTime():O}) lies in the future; it is {now} now. Read at a version that has been.");
                return;
            }

            operation.Version = wanted;
        }

        if (operation.Version <= applied || operation.Consistency == ReadConsistency.Stale)
        {
            replica.Worker.Complete(operation);
        }
        else
        {
            versions.Add(operation);
        }
    }
}
