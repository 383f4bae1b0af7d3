using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Catalog;
using Henge.Node.Context;
using Henge.Node.Replication;
using Henge.Node.Workers;

namespace Henge.Node.Opening;

/// <summary>
/// What the catalog's leader does for the members: gives them the catalog's log, counts them in when they have it, and sees to it that as
/// many vote as should. What it has done shows in the catalog and in its group, so that any other leader goes on with it. Called by the
/// thread that ticks.
/// </summary>
internal sealed class CatalogKeeper(NodeContext node, ShardReplica replica, MemberCatalog members)
{
    private const long ChangeMs = 10_000;
    private readonly HashSet<NodeId> _rising = [];
    private readonly Lock _gate = new();

    /// <summary>Looks whether there is something to do.</summary>
    public void Run()
    {
        ShardStatus status = replica.Status;
        if (status.Role != ReplicaRole.Leader || members.View is not { } view || !node.Cluster.IsEstablished)
        {
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

        if (CatalogVoters.Next(status, node.Members) is { } change)
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

    private bool Begin(NodeId id)
    {
        lock (_gate)
        {
            return _rising.Add(id);
        }
    }

    private void End(NodeId id)
    {
        lock (_gate)
        {
            _rising.Remove(id);
        }
    }
}
