using Henge.Core;

namespace Henge.Node.Context;

/// <summary>
/// What a node tells its operators: one method for each event. Members of the cluster are given by their names. Implementations are
/// thread-safe, quick, and do not throw. <c>docs/events.md</c> explains each event.
/// </summary>
public interface INodeEvents
{
    /// <summary>The node runs for the first time, in a new data directory.</summary>
    void NodeCreated(string name, NodeId id, string directory);

    /// <summary>The node runs again with the data directory that it has.</summary>
    void NodeRestarted(string name, NodeId id, string directory);

    /// <summary>The id of the cluster was made, or read from the catalog.</summary>
    void ClusterIdKnown(string clusterId);

    /// <summary>This node was elected leader of a shard.</summary>
    void LeadershipGained(ShardId shard, Term term);

    /// <summary>This node leads a shard no longer. The new leader is null while it is not known.</summary>
    void LeadershipLost(ShardId shard, Term term, string? leader);

    /// <summary>Another node leads a shard now, and this one did not lead it before either.</summary>
    void LeaderChanged(ShardId shard, Term term, string leader);

    /// <summary>This node, as the leader of a shard, has written a change of its members to the log.</summary>
    void MembershipChangeProposed(ShardId shard, IReadOnlyList<NodeId> voters, IReadOnlyList<NodeId> learners);

    /// <summary>A leader has begun to give this node a replica of a shard.</summary>
    void ReplicaBegun(ShardId shard);

    /// <summary>This node's replica of a shard is dropped: it is not a member by the membership at an index of the shard's log.</summary>
    void ReplicaDropped(ShardId shard, LogIndex index);

    /// <summary>An operator wanted another node to lead a shard, and that could not begin.</summary>
    void LeadershipTransferRefused(ShardId shard, string to, string problem);

    /// <summary>The leader begins to send a snapshot of a shard to a member.</summary>
    void SnapshotSending(ShardId shard, string to, LogIndex index);

    /// <summary>A member did not get a snapshot; another one is sent.</summary>
    void SnapshotNotDelivered(ShardId shard, string to);

    /// <summary>A snapshot has replaced the state of a shard.</summary>
    void SnapshotInstalled(ShardId shard, LogIndex index);

    /// <summary>A snapshot that was being received is refused, because the disk is full.</summary>
    void SnapshotRefused(ShardId shard, string from, string problem);

    /// <summary>A received snapshot cannot be installed, because the disk is full. The shard is not served until there is room.</summary>
    void SnapshotInstallDelayed(ShardId shard, string problem);

    /// <summary>The last record of the node's log was incomplete, as after a crash, and was cut off.</summary>
    void TornLogTailCut(string problem);

    /// <summary>The node's log could not be written, because the disk is full. Writes wait until there is room.</summary>
    void LogWritesDelayed(string problem);

    /// <summary>Less space than the reserve is free: writes are refused.</summary>
    void DiskSpaceLow(long freeBytes, long reserveBytes);

    /// <summary>There is space on the disk again: writes are accepted.</summary>
    void DiskSpaceRecovered(long freeBytes);

    /// <summary>A part of a shard's state is damaged on this node's disk. It is rebuilt from the leader.</summary>
    void ShardDamaged(ShardId shard, string problem);

    /// <summary>All members of a shard have damaged state, so that none can be rebuilt from another.</summary>
    void ShardDamagedEverywhere(ShardId shard, string problem);

    /// <summary>A committed entry cannot be applied, because state that it needs is damaged. The replica waits to be rebuilt.</summary>
    void ApplyStopped(ShardId shard, LogIndex applied, string problem);

    /// <summary>
    /// The clock of another member differs from the majority's clocks by more than is allowed. Positive: it is ahead of them.
    /// </summary>
    void PeerClockOff(string peer, long offsetMs);

    /// <summary>The clock of another member agrees with the majority's again.</summary>
    void PeerClockAgrees(string peer);

    /// <summary>
    /// This node's clock differs from the majority's clocks by more than is allowed; theirs are used. Positive: it is ahead of them.
    /// </summary>
    void OwnClockOff(long offsetMs);

    /// <summary>This node's clock agrees with the majority's again.</summary>
    void OwnClockAgrees();

    /// <summary>The versions of a shard are ahead of the clocks, because some clock was ahead earlier.</summary>
    void VersionsAheadOfClocks(ShardId shard, long leadMs);

    /// <summary>A peer's settings or addresses do not fit this cluster; nothing is exchanged with it.</summary>
    void PeerRefused(string peer, string problem);

    /// <summary>A peer runs with another data directory than the one that the cluster knows; its messages are refused.</summary>
    void PeerDirectoryRefused(string peer, string problem);

    /// <summary>A member came, changed or left, as the catalog says.</summary>
    void MemberChanged(string member, NodeId id, Api.MemberState state, string address);

    /// <summary>An operator has the cluster recovered without members, which are given up for lost, with all that only they have.</summary>
    void RecoveryBegun(string plan, IReadOnlyList<string> lost);

    /// <summary>A shard goes on alone from what this node has of it: what was written after that version is lost.</summary>
    void ShardRecovered(ShardId shard, string plan, Core.Version kept, LogIndex index);

    /// <summary>A member that has left for ever sends messages; they are refused.</summary>
    void LeftMemberRefused(string member);

    /// <summary>A frame came from a node of a cluster that was made with other settings. It was dropped.</summary>
    void ForeignFrameDropped(NodeId sender);

    /// <summary>A frame for another node came to this one: the addresses in the list of members are wrong. It was dropped.</summary>
    void MisaddressedFrameDropped(NodeId sender, NodeId receiver);
}
