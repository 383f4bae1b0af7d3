using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Events;

/// <summary>
/// Logs what the core tells. Allocates nothing for an event whose level is off. Of leaders that change, of which a node may have hundreds
/// at once, so many are named in a second, and the others counted.
/// </summary>
internal sealed class NodeEventLog : INodeEvents, IDisposable
{
    /// <summary>Leaders of so many shards are named within <see cref="Span"/>.</summary>
    public const int MostNamed = 20;

    /// <summary>The time in which they are counted.</summary>
    public static readonly TimeSpan Span = TimeSpan.FromSeconds(1);

    private readonly ILogger _node;
    private readonly ILogger _raft;
    private readonly ILogger _snapshots;
    private readonly ILogger _storage;
    private readonly ILogger _clocks;
    private readonly ILogger _peers;
    private readonly EventLimit _gained;
    private readonly EventLimit _lost;

    /// <param name="logging">Where it logs.</param>
    /// <param name="time">For what is counted; null: this machine's.</param>
    public NodeEventLog(ILoggerFactory logging, TimeProvider? time = null)
    {
        _node = logging.CreateLogger(ServerEvents.Node.Category);
        _raft = logging.CreateLogger(ServerEvents.Raft.Category);
        _snapshots = logging.CreateLogger(ServerEvents.Snapshots.Category);
        _storage = logging.CreateLogger(ServerEvents.Storage.Category);
        _clocks = logging.CreateLogger(ServerEvents.Clocks.Category);
        _peers = logging.CreateLogger(ServerEvents.Peers.Category);
        _gained = new EventLimit(
            time ?? TimeProvider.System, MostNamed, Span, count => ServerEvents.Raft.MoreLeadershipsGained(_raft, count));
        _lost = new EventLimit(
            time ?? TimeProvider.System, MostNamed, Span, count => ServerEvents.Raft.MoreLeadershipsLost(_raft, count));
    }

    /// <summary>Logs what has been counted. What is told afterwards may not be logged.</summary>
    public void Dispose()
    {
        _gained.Dispose();
        _lost.Dispose();
    }

    public void NodeCreated(string name, NodeId id, string directory) =>
        ServerEvents.Node.NodeCreated(_node, name, id, directory);

    public void NodeRestarted(string name, NodeId id, string directory) =>
        ServerEvents.Node.NodeRestarted(_node, name, id, directory);

    public void ClusterIdKnown(string clusterId) => ServerEvents.Node.ClusterIdKnown(_node, clusterId);

    public void LeadershipGained(ShardId shard, Term term)
    {
        if (_raft.IsEnabled(LogLevel.Information) && _gained.IsLogged())
        {
            ServerEvents.Raft.LeadershipGained(_raft, shard, term.Value);
        }
    }

    public void LeadershipLost(ShardId shard, Term term, string? leader)
    {
        if (_raft.IsEnabled(LogLevel.Information) && _lost.IsLogged())
        {
            ServerEvents.Raft.LeadershipLost(_raft, shard, term.Value, leader ?? "unknown");
        }
    }

    public void LeaderChanged(ShardId shard, Term term, string leader) =>
        ServerEvents.Raft.LeaderChanged(_raft, shard, term.Value, leader);

    public void MembershipChangeProposed(ShardId shard, IReadOnlyList<NodeId> voters, IReadOnlyList<NodeId> learners)
    {
        if (_raft.IsEnabled(LogLevel.Information))
        {
            ServerEvents.Raft.MembershipChangeProposed(_raft, shard, string.Join(", ", voters), string.Join(", ", learners));
        }
    }

    public void ReplicaBegun(ShardId shard) => ServerEvents.Raft.ReplicaBegun(_raft, shard);

    public void ReplicaDropped(ShardId shard, LogIndex index) => ServerEvents.Raft.ReplicaDropped(_raft, shard, index.Value);

    public void LeadershipTransferRefused(ShardId shard, string to, string problem) =>
        ServerEvents.Raft.LeadershipTransferRefused(_raft, shard, to, problem);

    public void SnapshotSending(ShardId shard, string to, LogIndex index) =>
        ServerEvents.Snapshots.SnapshotSending(_snapshots, shard, to, index.Value);

    public void SnapshotNotDelivered(ShardId shard, string to) =>
        ServerEvents.Snapshots.SnapshotNotDelivered(_snapshots, shard, to);

    public void SnapshotInstalled(ShardId shard, LogIndex index) =>
        ServerEvents.Snapshots.SnapshotInstalled(_snapshots, shard, index.Value);

    public void SnapshotRefused(ShardId shard, string from, string problem) =>
        ServerEvents.Snapshots.SnapshotRefused(_snapshots, shard, from, problem);

    public void SnapshotInstallDelayed(ShardId shard, string problem) =>
        ServerEvents.Snapshots.SnapshotInstallDelayed(_snapshots, shard, problem);

    public void TornLogTailCut(string problem) => ServerEvents.Storage.TornLogTailCut(_storage, problem);

    public void LogWritesDelayed(string problem) => ServerEvents.Storage.LogWritesDelayed(_storage, problem);

    public void DiskSpaceLow(long freeBytes, long reserveBytes) =>
        ServerEvents.Storage.DiskSpaceLow(_storage, freeBytes, reserveBytes);

    public void DiskSpaceRecovered(long freeBytes) => ServerEvents.Storage.DiskSpaceRecovered(_storage, freeBytes);

    public void ShardDamaged(ShardId shard, string problem) =>
        ServerEvents.Storage.ShardDamaged(_storage, shard, problem);

    public void ShardDamagedEverywhere(ShardId shard, string problem) =>
        ServerEvents.Storage.ShardDamagedEverywhere(_storage, shard, problem);

    public void ApplyStopped(ShardId shard, LogIndex applied, string problem) =>
        ServerEvents.Storage.ApplyStopped(_storage, shard, applied.Value, problem);

    public void PeerClockOff(string peer, long offsetMs) => ServerEvents.Clocks.PeerClockOff(_clocks, peer, offsetMs);

    public void PeerClockAgrees(string peer) => ServerEvents.Clocks.PeerClockAgrees(_clocks, peer);

    public void OwnClockOff(long offsetMs) => ServerEvents.Clocks.OwnClockOff(_clocks, offsetMs);

    public void OwnClockAgrees() => ServerEvents.Clocks.OwnClockAgrees(_clocks);

    public void VersionsAheadOfClocks(ShardId shard, long leadMs) =>
        ServerEvents.Clocks.VersionsAheadOfClocks(_clocks, shard, leadMs);

    public void PeerRefused(string peer, string problem) => ServerEvents.Peers.PeerRefused(_peers, peer, problem);

    public void MemberChanged(string member, NodeId id, MemberState state, string address) =>
        ServerEvents.Peers.MemberChanged(_peers, id, member, address, state);

    public void RecoveryBegun(string plan, IReadOnlyList<string> lost)
    {
        if (_node.IsEnabled(LogLevel.Critical))
        {
            ServerEvents.Node.RecoveryBegun(_node, plan, string.Join(", ", lost));
        }
    }

    public void ShardRecovered(ShardId shard, string plan, Core.Version kept, LogIndex index) =>
        ServerEvents.Raft.ShardRecovered(_raft, shard, plan, kept, index.Value);

    public void LeftMemberRefused(string member) => ServerEvents.Peers.LeftMemberRefused(_peers, member);

    public void PeerDirectoryRefused(string peer, string problem) =>
        ServerEvents.Peers.PeerDirectoryRefused(_peers, peer, problem);

    public void ForeignFrameDropped(NodeId sender) => ServerEvents.Peers.ForeignFrameDropped(_peers, sender);

    public void MisaddressedFrameDropped(NodeId sender, NodeId receiver) =>
        ServerEvents.Peers.MisaddressedFrameDropped(_peers, sender, receiver);
}
