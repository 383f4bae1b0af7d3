using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Catalog;
using Henge.Node.Context;
using Henge.Node.Moves;
using Henge.Node.Replication;
using Henge.Node.Workers;

namespace Henge.Node.Opening;

/// <summary>
/// What the catalog's leader does for the members: gives them the catalog's log, counts them in when they have it, and sees to it that as
/// many vote as should. What it has done shows in the catalog and in its group, so that any other leader goes on with it. Called by the
/// thread that ticks.
/// </summary>
internal sealed class CatalogKeeper(
    NodeContext node,
    ShardReplica replica,
    MemberCatalog members,
    IPlacementCatalog placements,
    ShardReports reports)
{
    private const long ChangeMs = 10_000;
    private readonly HashSet<NodeId> _changing = [];
    private readonly Departures _departures = new(node.Options.Bugs);
    private readonly Lock _gate = new();

    /// <summary>Looks whether there is something to do.</summary>
    /// <param name="lost">Members that have been down for so long that they are replaced.</param>
    public void Run(IReadOnlyCollection<NodeId> lost)
    {
        ShardStatus status = replica.Status;
        if (status.Role != ReplicaRole.Leader || members.View is not { } view || !node.Cluster.IsEstablished)
        {
            _departures.Clear();
            return;
        }

        foreach (MemberRecord member in view.Members)
        {
            if (
                member.State == MemberState.Joining
                && (CatalogVoters.HasCaughtUp(status, member.Id) || node.Options.Bugs.IsUpBeforeCaughtUp)
                && Begin(member.Id))
            {
                members.SetState(
                    member.Id,
                    [MemberState.Joining],
                    MemberState.Up,
                    node.MonotonicMs + ChangeMs,
                    _ => End(member.Id));
            }
        }

        LetGo(status);
        if (CatalogVoters.Next(status, node.Members, lost) is { } change)
        {
            replica.Worker.Post(new WorkerAction(_ =>
            {
                // What it was made for may have changed meanwhile.
                if (replica.Group.Membership.Voters.SequenceEqual(status.Voters)
                    && replica.Group.Membership.Learners.SequenceEqual(status.Learners))
                {
                    replica.ChangeMembership(change.Voters, change.Learners);
                }
            }));
        }
    }

    // Who hosts nothing any more is no member any more. The catalog's group lets it go then, as it does with all that have left.
    private void LetGo(ShardStatus status)
    {
        if (placements.Read() is not { } state)
        {
            return;
        }

        foreach (NodeId id in _departures.Find(state, reports.Of))
        {
            if (!status.IsJoint && !status.Voters.Contains(id) && Begin(id))
            {
                members.SetState(id, [MemberState.Leaving], MemberState.Left, node.MonotonicMs + ChangeMs, _ => End(id));
            }
        }
    }

    private bool Begin(NodeId id)
    {
        lock (_gate)
        {
            return _changing.Add(id);
        }
    }

    private void End(NodeId id)
    {
        lock (_gate)
        {
            _changing.Remove(id);
        }
    }
}
