using Henge.Core;

namespace Henge.Raft;

/// <summary>How a leader sees a peer, for status pages and tests.</summary>
/// <param name="Id">The peer.</param>
/// <param name="State">How replication stands.</param>
/// <param name="Match">The last index known to be durable there and equal to the leader's.</param>
/// <param name="Next">The next index to be sent.</param>
/// <param name="IsRecentlyActive">Heard from since the leader last checked its quorum.</param>
/// <param name="IsLearner">Does not vote.</param>
public readonly record struct PeerStatus(NodeId Id, PeerState State, LogIndex Match, LogIndex Next, bool IsRecentlyActive, bool IsLearner);
