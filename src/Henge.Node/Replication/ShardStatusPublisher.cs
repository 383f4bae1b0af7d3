using Henge.Node.Api;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>
/// Makes a picture of a shard's state now and then, so that any thread can read it while only the worker touches the group. Belongs to the
/// worker, except <see cref="Latest"/>.
/// </summary>
internal sealed class ShardStatusPublisher
{
    private const int IntervalTicks = 5;
    private const int CatalogTicks = 20;

    // What a leader knows of its peers also changes without anything that it does, and a log is compacted while all is at rest.
    private const int RestTicks = 100;
    private readonly ShardReplica _replica;
    private readonly RaftGroup _group;
    private readonly List<PeerStatus> _peers = [];
    private ShardStatus _latest;
    private bool _changed = true;

    /// <summary>Publishes the first picture.</summary>
    public ShardStatusPublisher(ShardReplica replica, RaftGroup group)
    {
        _replica = replica;
        _group = group;
        _latest = Make();
    }

    /// <summary>The latest picture. Thread-safe.</summary>
    public ShardStatus Latest => Volatile.Read(ref _latest);

    /// <summary>Something is other than in the latest picture.</summary>
    public void MarkChanged() => _changed = true;

    /// <summary>
    /// Publishes at the next tick that is due, when something has changed. The catalog's leader is asked who is there: that changes without
    /// a change of its own.
    /// </summary>
    public void Tick(TickSpan span)
    {
        bool isLeaderOfCatalog = _replica.Shard.IsCatalog && _group.Role == RaftRole.Leader;
        bool isDue = _changed ? span.Reaches(IntervalTicks)
            : isLeaderOfCatalog ? span.Reaches(CatalogTicks)
            : span.Reaches(RestTicks, _replica.Shard.Value);
        if (isDue && (_changed || isLeaderOfCatalog || !IsAsInLatest()))
        {
            _changed = false;
            Volatile.Write(ref _latest, Make());
        }
    }

    // Of hundreds of shards at rest most look as they did a second ago, and a picture of each is what a node at rest would make most of.
    private bool IsAsInLatest()
    {
        bool isSame = _latest.First == _group.CompactedIndex.Next
            && _latest.Last == _group.LastIndex
            && _latest.Committed == _group.CommitIndex
            && _latest.Applied == _group.AppliedIndex
            && _latest.LastVersion == _replica.AppliedVersion
            && _latest.IsDamagedEverywhere == _replica.IsDamagedEverywhere
            && _latest.Error == _replica.Problem;
        _group.GetPeers(_peers);
        isSame &= _peers.Count == _latest.Peers.Count;
        for (int i = 0; isSame && i < _peers.Count; i++)
        {
            isSame = _latest.Peers[i] == ProgressOf(_peers[i]);
        }

        return isSame;
    }

    private PeerProgress ProgressOf(PeerStatus peer) => new(
        peer.Id,
        peer.Match,
        peer.State.ToString(),
        peer.IsLearner,
        peer.IsRecentlyActive,
        _replica.IsDamaged(peer.Id));

    private ShardStatus Make()
    {
        _group.GetPeers(_peers);
        var peers = new PeerProgress[_peers.Count];
        for (int i = 0; i < peers.Length; i++)
        {
            peers[i] = ProgressOf(_peers[i]);
        }

        return new ShardStatus
        {
            Shard = _replica.Shard,
            Role = _group.Role switch
            {
                RaftRole.Leader => ReplicaRole.Leader,
                RaftRole.Candidate or RaftRole.PreCandidate => ReplicaRole.Candidate,
                _ => _group.Membership.IsLearner(_replica.Node.Self) ? ReplicaRole.Learner : ReplicaRole.Follower,
            },
            Term = _group.Term,
            Leader = _group.Leader,
            First = _group.CompactedIndex.Next,
            Last = _group.LastIndex,
            Committed = _group.CommitIndex,
            Applied = _group.AppliedIndex,
            LastVersion = _replica.AppliedVersion,
            Peers = peers,
            Voters = _group.Membership.Voters,
            Learners = _group.Membership.Learners,
            Error = _replica.Problem,
            IsDamagedEverywhere = _replica.IsDamagedEverywhere,
            IsJoint = _group.Membership.IsJoint,
        };
    }
}
