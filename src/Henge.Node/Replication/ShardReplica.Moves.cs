using Henge.Cluster.Planning;
using Henge.Cluster.Steps;
using Henge.Core;
using Henge.Node.Moves;
using Henge.Raft;

namespace Henge.Node.Replication;

// What a leader does to bring its shard to where the catalog has it.
internal sealed partial class ShardReplica
{
    private readonly List<PeerStatus> _movePeers = [];
    private TargetPlacement? _followed;
    private NodeId[] _target = [];

    /// <summary>How a move of the shard gets on, as its leader knows it; null when there is none. Thread-safe.</summary>
    public ShardMove? Move => _mover.Move;

    /// <inheritdoc/>
    (LogIndex Configuration, Term Term) IMovableShard.Standing =>
        _group.Role == RaftRole.Leader ? (_group.MembershipIndex, _group.Term) : default;

    /// <inheritdoc/>
    ShardConfiguration? IMovableShard.Look()
    {
        if (_group.Role != RaftRole.Leader)
        {
            return null;
        }

        _group.GetPeers(_movePeers);
        Membership membership = _group.Membership;
        return new ShardConfiguration
        {
            Leader = Node.Self,
            Voters = membership.Voters,
            Learners = membership.Learners,
            IsSettled = !membership.IsJoint
                && _group.MembershipIndex <= _group.CommitIndex
                && _group.TransferTarget.IsNone,
            Last = _group.LastIndex,
            Commit = _group.CommitIndex,
            Replicas =
            [
                .. _movePeers.Select(p => new ReplicaProgress(
                    p.Id,
                    p.Match,
                    p.IsRecentlyActive,
                    p.State == PeerState.Replicate,
                    _leadership.IsDamaged(p.Id),
                    SnapshotBytesSent: p.State == PeerState.Snapshot ? _sender.AcknowledgedBytes(p.Id) : 0)),
                new ReplicaProgress(Node.Self, _group.LastIndex, true, true, _machine.Damage is not null),
            ],
        };
    }

    /// <inheritdoc/>
    bool IMovableShard.TryChange(IReadOnlyList<NodeId> voters, IReadOnlyList<NodeId> learners) =>
        ChangeMembership(voters, learners) == MembershipStatus.Accepted;

    /// <inheritdoc/>
    bool IMovableShard.TryTransfer(NodeId to) => TransferLeadership(to) is null;

    private void FollowPlacement()
    {
        if (Shard.IsCatalog || Node.Followed is not { } placement)
        {
            return;
        }

        if (_followed != placement)
        {
            // The list stays the same as long as the shard's row does: then there is nothing to look at.
            ReadOnlySpan<NodeId> row = placement.ReplicasOf(Shard);
            _followed = placement;
            _target = row.SequenceEqual(_target) ? _target : row.ToArray();
        }

        _mover.Tick(Worker.NowMs, _target, []);
    }
}
