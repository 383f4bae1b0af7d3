using Henge.Core;
using Henge.Node.Context;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>
/// What a leader does now and then: hand over when a part of its state is damaged, or to the node where the ring would have the leader,
/// once that one has caught up, one shard at a time; and close the history of a shard that nobody writes to, so that it does not hold back
/// what the node may forget. Belongs to the shard's worker.
/// </summary>
internal sealed class LeaderUpkeep(ShardReplica replica, RaftGroup group)
{
    private const ulong MaxLagEntries = 100;
    private const int IdleTicks = 1_000;
    private const int DamagedTicks = 50;
    private const int ForgetDamagedTicks = 500;
    private readonly List<PeerStatus> _peers = [];

    // When each peer last said that its state is damaged. Few: members of one shard.
    private readonly Dictionary<NodeId, long> _damagedPeers = [];
    private long _tick;

    /// <summary>
    /// A peer says that a part of its state is damaged: leadership is kept away from it for some seconds, after which it says so again.
    /// </summary>
    public void OnDamagedPeer(NodeId peer)
    {
        bool known = IsDamaged(peer);
        _damagedPeers[peer] = _tick;
        if (!known)
        {
            replica.OnDamageKnown();
        }
    }

    /// <summary>A part of the state is damaged here, and at all other voters.</summary>
    public bool IsDamagedEverywhere
    {
        get
        {
            if (group.Role != RaftRole.Leader || replica.Machine.Damage is null)
            {
                return false;
            }

            // Outgoing voters can still lead, so whoever of them is whole can rebuild the others.
            foreach (NodeId member in group.Membership.Members)
            {
                if (member != replica.Node.Self && group.Membership.IsVoter(member) && !IsDamaged(member))
                {
                    return false;
                }
            }

            return true;
        }
    }

    /// <summary>Looks now and then; only while the replica leads.</summary>
    public void Tick(TickSpan span)
    {
        ForgetPeers(span.Now);
        _tick = span.Now;
        NodeContext node = replica.Node;
        if (replica.Machine.Damage is not null)
        {
            // Another member that has caught up can serve what cannot be read here.
            if (span.Reaches(DamagedTicks))
            {
                HandOverDamaged();
            }

            return;
        }

        // Shards take turns: each looks once in a whole round of all of them, a step apart from its neighbours.
        int interval = node.Options.BalanceIntervalMs / node.Options.TickMs;
        if (
            interval > 0
            && replica.Preferred != node.Self
            && !replica.Preferred.IsNone
            && span.Reaches(interval, (long)replica.Shard.Value * interval / node.Shards.Count))
        {
            HandOverToPreferred();
        }

        if (span.Reaches(IdleTicks, replica.Shard.Value))
        {
            CloseIdleHistory(node);
        }
    }

    // Those of an earlier leadership of this replica, too: they count from the last tick of it.
    private void ForgetPeers(long tick)
    {
        foreach ((NodeId peer, long told) in _damagedPeers)
        {
            if (tick - told >= ForgetDamagedTicks)
            {
                _damagedPeers.Remove(peer);
                replica.OnDamageKnown();
            }
        }
    }

    private void HandOverToPreferred()
    {
        group.GetPeers(_peers);
        foreach (PeerStatus peer in _peers)
        {
            if (peer.Id == replica.Preferred && CanLead(peer))
            {
                replica.TransferLeadership(peer.Id);
            }
        }
    }

    /// <summary>A part of this replica's state is damaged: transfers leadership to a member that can serve it, if there is one.</summary>
    /// <remarks>
    /// To the one that has most, and among equals to one that stays a voter. While membership is joint, only one that leaves may have
    /// everything: those that come wait for a snapshot then, which nobody else can send them.
    /// </remarks>
    public void HandOverDamaged()
    {
        group.GetPeers(_peers);
        PeerStatus? best = null;
        foreach (PeerStatus peer in _peers)
        {
            if (CanLead(peer) && (best is not { } other || IsBetter(peer, other)))
            {
                best = peer;
            }
        }

        if (best is { } chosen)
        {
            replica.TransferLeadership(chosen.Id);
        }
    }

    private bool CanLead(in PeerStatus peer) =>
        peer.Id != replica.Node.Self
        && peer.IsRecentlyActive
        && group.Membership.IsVoter(peer.Id)
        && !IsDamaged(peer.Id)
        && peer.State == PeerState.Replicate
        && peer.Match.Value + MaxLagEntries >= group.LastIndex.Value
        && group.TransferTarget.IsNone;

    private bool IsBetter(in PeerStatus peer, in PeerStatus other) =>
        peer.Match != other.Match
            ? peer.Match > other.Match
            : group.Membership.IsIncomingVoter(peer.Id) && !group.Membership.IsIncomingVoter(other.Id);

    /// <summary>True when a peer has said in the last seconds that its state is damaged.</summary>
    public bool IsDamaged(NodeId peer) => _damagedPeers.ContainsKey(peer);

    private void CloseIdleHistory(NodeContext node)
    {
        if (!node.Clock.IsKnown)
        {
            return;
        }

        Core.Version now = node.Clock.Now;
        long idleMs = Math.Max(60_000, node.Options.HistoryMs / 10);
        if (!replica.Shard.IsCatalog && now.Milliseconds - replica.LastLoggedVersion.Milliseconds > idleMs)
        {
            replica.TryAdvance(now, out _);
        }
    }
}
