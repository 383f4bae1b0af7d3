using Henge.Core;
using Henge.Node.Context;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>Keeps <see cref="FollowedLeaders"/> up to date about one shard. Belongs to the shard's worker.</summary>
internal sealed class FollowingPublisher(ShardReplica replica, RaftGroup group)
{
    private readonly List<NodeId> _peers = [];
    private NodeId _leader;
    private Term _term;

    /// <summary>The replica goes: it follows nobody any more.</summary>
    public void Withdraw()
    {
        if (_leader == replica.Node.Self)
        {
            foreach (NodeId peer in _peers)
            {
                replica.Node.Leaders.Lead(peer, replica.Shard, _term, add: false);
            }
        }
        else if (!_leader.IsNone)
        {
            replica.Node.Leaders.Follow(_leader, replica.Shard, _term, add: false);
        }

        _leader = NodeId.None;
        _peers.Clear();
    }

    /// <summary>Publishes what has changed. To be called before a message leaves that the group made after the change.</summary>
    public void Publish(bool membershipChanged)
    {
        FollowedLeaders known = replica.Node.Leaders;
        NodeId leader = group.Leader;
        if (leader == _leader && group.Term == _term && !(membershipChanged && leader == replica.Node.Self))
        {
            return;
        }

        if (_leader == replica.Node.Self)
        {
            foreach (NodeId peer in _peers)
            {
                known.Lead(peer, replica.Shard, _term, add: false);
            }
        }
        else if (!_leader.IsNone)
        {
            known.Follow(_leader, replica.Shard, _term, add: false);
        }

        _leader = leader;
        _term = group.Term;
        _peers.Clear();
        if (leader == replica.Node.Self)
        {
            foreach (NodeId peer in group.Membership.All)
            {
                if (peer != leader)
                {
                    _peers.Add(peer);
                    known.Lead(peer, replica.Shard, _term, add: true);
                }
            }
        }
        else if (!leader.IsNone)
        {
            known.Follow(leader, replica.Shard, _term, add: true);
        }
    }
}
