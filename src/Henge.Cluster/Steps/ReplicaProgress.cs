using Henge.Core;

namespace Henge.Cluster.Steps;

/// <summary>How far a replica is, as its shard's leader knows it.</summary>
/// <param name="Id">Which member.</param>
/// <param name="Match">The last entry of the log that is certainly on its disk.</param>
/// <param name="IsActive">It has been heard of lately.</param>
/// <param name="IsReplicating">It gets the log; not while the leader looks for where their logs agree, or sends a snapshot.</param>
/// <param name="IsDamaged">It has said that a part of its state is damaged.</param>
/// <param name="SnapshotBytesLeft">Of a snapshot that is under way: what has not been sent; 0 when none is, or that is not known.</param>
/// <param name="SnapshotBytesSent">Of a snapshot that is under way: what has been taken in; 0 when none is.</param>
public readonly record struct ReplicaProgress(
    NodeId Id,
    LogIndex Match,
    bool IsActive,
    bool IsReplicating,
    bool IsDamaged = false,
    long SnapshotBytesLeft = 0,
    long SnapshotBytesSent = 0);
