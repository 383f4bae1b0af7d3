using Henge.Cluster.Planning;
using Henge.Cluster.Steps;
using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Moves;
using Henge.Raft;

namespace Henge.Node.Replication;

// What a leader does to bring its shard to where the catalog has it.
internal sealed partial class ShardReplica
{
    private const long ReportMs = 500;
    private readonly List<PeerStatus> _movePeers = [];
    private TargetPlacement? _followed;
    private NodeId[] _target = [];
    private readonly ShardLoadMeter _load = new();
    private ShardReport? _report;
    private long _nextReportMs;

    /// <summary>What there is to tell of the shard while it is led here; null while it is not. Thread-safe.</summary>
    public ShardReport? Report => Volatile.Read(ref _report);

    /// <summary>How a move of the shard gets on, as its leader knows it; null when there is none. Thread-safe.</summary>
    public ShardMove? Move => _mover.Move;

    /// <summary>How much of a snapshot that is on its way to a follower is there, for tests.</summary>
    public long SnapshotBytesAcknowledgedBy(NodeId follower) => _sender.AcknowledgedBytes(follower);

    /// <summary>Commands that this replica has proposed for callers.</summary>
    public void OnProposed(int commands) => _load.Add(commands);

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
            Down = SilentMembers(),
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
                    SnapshotBytesLeft: p.State == PeerState.Snapshot ? _sender.BytesLeft(p.Id) : 0,
                    SnapshotBytesSent: p.State == PeerState.Snapshot ? _sender.AcknowledgedBytes(p.Id) : 0)),
                new ReplicaProgress(Node.Self, _group.LastIndex, true, true, _machine.Damage is not null),
            ],
        };
    }

    /// <inheritdoc/>
    bool IMovableShard.TryChange(IReadOnlyList<NodeId> voters, IReadOnlyList<NodeId> learners) =>
        !(Node.Options.Bugs.LeavesLearnersBehind && learners.Count < _group.Membership.Learners.Count
            && voters.Count == _group.Membership.Voters.Count && voters.All(_group.Membership.IsVoter))
        && ChangeMembership(voters, learners) == MembershipStatus.Accepted;

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

        _mover.Tick(Worker.NowMs, _target);
    }

    private List<NodeId> SilentMembers()
    {
        List<NodeId> silent = [];
        long now = Node.MonotonicMs;
        foreach (MemberInfo member in Node.Members.Current)
        {
            if (member.Id != Node.Self && Node.Heard.SilentForMs(member.Id, now) >= Node.DownAfterMs)
            {
                silent.Add(member.Id);
            }
        }

        return silent;
    }

    // What is read elsewhere of a shard that is led here, made now and then.
    private void TellOfShard()
    {
        if (_group.Role != RaftRole.Leader || Shard.IsCatalog)
        {
            if (_report is not null)
            {
                Volatile.Write(ref _report, null);
                _load.Clear();
            }

            return;
        }

        long now = Worker.NowMs;
        if (_report is not null && now < _nextReportMs)
        {
            return;
        }

        _nextReportMs = now + ReportMs;
        Membership membership = _group.Membership;
        var report = new ShardReport
        {
            Shard = Shard,
            Term = _group.Term,
            Generation = _followed?.Generation ?? 0,
            Configuration = _group.MembershipIndex,
            IsSettled = _group.IsSureOfMembership,
            Voters = membership.Voters,
            Learners = membership.Learners,
            OperationsPerSecond = _load.Measure(now),
            Move = _mover.Move,
        };
        if (_report is null || !_report.SaysSame(report))
        {
            Volatile.Write(ref _report, report);
        }
    }
}
