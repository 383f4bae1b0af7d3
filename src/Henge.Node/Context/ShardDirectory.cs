using System.Collections.Concurrent;
using Henge.Core;

namespace Henge.Node.Context;

/// <summary>
/// Where all shards of the cluster are, as far as this node knows: from the founding placement, from its own replicas, and from what other
/// nodes tell it. It may be out of date, and nobody relies on it: whoever is asked because of it checks for itself whether it hosts or
/// leads the shard. Thread-safe; reading takes no lock.
/// </summary>
/// <remarks>
/// What is newer: of leaders, the one with the higher term, since a term has one leader at most; of memberships, the one told by the leader
/// of a higher term, and of one leader's the one further on in its log.
/// </remarks>
internal sealed class ShardDirectory
{
    private readonly NodeId _self;
    private readonly ShardPlace[] _places;
    private readonly ConcurrentQueue<ShardId> _ledChanged = new();
    private readonly Lock _gate = new();
    private long _generation = 1;

    /// <summary>Creates the directory of a cluster as it was founded: by shard, its replicas, the preferred leader first.</summary>
    public ShardDirectory(NodeId self, IReadOnlyList<IReadOnlyList<NodeId>> founding)
    {
        _self = self;
        _places = new ShardPlace[founding.Count];
        for (int s = 0; s < _places.Length; s++)
        {
            _places[s] = new ShardPlace { Shard = new ShardId((uint)s), Voters = founding[s] };
        }
    }

    /// <summary>
    /// Raised when something has become known of a shard. Quick, on any thread; <see cref="PlaceOf"/> has it by then.
    /// </summary>
    public event Action<ShardId>? Changed;

    /// <summary>How many shards there are; the catalog, which is on all nodes, is not one of them.</summary>
    public int Count => _places.Length;

    /// <summary>Rises with each change.</summary>
    public ulong Generation => (ulong)Interlocked.Read(ref _generation);

    /// <summary>What is known of a shard; not of the catalog.</summary>
    public ShardPlace PlaceOf(ShardId shard) => Volatile.Read(ref _places[(int)shard.Value]);

    /// <summary>Takes in what another node says; true when it was news.</summary>
    public bool Learn(ShardPlace told)
    {
        if (told.Shard.Value >= (uint)_places.Length)
        {
            return false;
        }

        return Update(told, isOwn: false);
    }

    /// <summary>
    /// Takes in what the node's own replica of a shard has come to know: also that it knows of no leader any more.
    /// </summary>
    public void Publish(ShardPlace own)
    {
        if (own.Shard.Value < (uint)_places.Length)
        {
            Update(own, isOwn: true);
        }
    }

    /// <summary>
    /// The way to a node broke: what it led may soon be led by another one, and it may come back as one that has forgotten that it led. So
    /// it is asked for again. Of shards that this node has replicas of, these tell.
    /// </summary>
    public void OnDisconnected(NodeId peer)
    {
        for (int s = 0; s < _places.Length; s++)
        {
            ShardPlace place = PlaceOf(new ShardId((uint)s));
            if (place.Leader == peer && !place.Has(_self))
            {
                Publish(place with { Leader = NodeId.None });
            }
        }
    }

    /// <summary>
    /// A shard of which something has changed while this node leads it, so that others are to be told; false when there is none.
    /// </summary>
    public bool TryTakeLedChange(out ShardId shard) => _ledChanged.TryDequeue(out shard);

    private bool Update(ShardPlace told, bool isOwn)
    {
        lock (_gate)
        {
            ShardPlace known = _places[(int)told.Shard.Value];
            ShardPlace next = known;
            if (told.Term > known.Term || (told.Term == known.Term && told.Leader != known.Leader))
            {
                // A node that knows of no leader does not make others forget theirs.
                if (!told.Leader.IsNone || isOwn)
                {
                    next = next with { Term = told.Term, Leader = told.Leader };
                }
            }

            bool isLaterMembership = told.MembershipTerm != known.MembershipTerm
                ? told.MembershipTerm > known.MembershipTerm
                : told.MembershipIndex > known.MembershipIndex;
            if (isLaterMembership && told.Voters.Count > 0)
            {
                next = next with { MembershipTerm = told.MembershipTerm, MembershipIndex = told.MembershipIndex };
                if (!told.HasSameNodes(known))
                {
                    next = next with { Voters = told.Voters, Learners = told.Learners };
                }
            }

            if (ReferenceEquals(next, known))
            {
                return false;
            }

            Volatile.Write(ref _places[(int)told.Shard.Value], next);
            if (next.Leader == _self)
            {
                _ledChanged.Enqueue(told.Shard);
            }

            if (next.Leader == known.Leader && next.Term == known.Term && ReferenceEquals(next.Voters, known.Voters))
            {
                // Only that the same is known from somebody else, or as of a later index.
                return false;
            }

            Interlocked.Increment(ref _generation);
        }

        Changed?.Invoke(told.Shard);
        return true;
    }
}
