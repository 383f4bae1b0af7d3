using Henge.Core;
using Henge.Node.Log;
using Henge.Node.StateMachine;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>
/// Hands what a shard's group wants persisted to the node log, and installs the snapshots among it. Belongs to the shard's worker.
/// </summary>
internal sealed class ReplicaPersist(
    ShardReplica replica,
    WriteQueue writes,
    SnapshotReceiver receiver,
    ShardStateMachine machine,
    HardState restored)
{
    /// <summary>Term and vote as last handed to the log.</summary>
    public HardState HardState { get; private set; } = restored;

    /// <summary>Adds it to the worker's batch; false when the disk has no room for the snapshot in it, and nothing was added.</summary>
    public bool TryPersist(Ready ready)
    {
        if (ready.Snapshot is { } snapshot && !TryInstall(snapshot, ready.HardState))
        {
            return false;
        }

        NodeLogBatch batch = replica.Worker.Batch;
        if (ready.Snapshot is null && ready.HardState is { } state)
        {
            HardState = state;
            batch.Records.Add(new NodeLogRecord { Kind = NodeLogRecordKind.HardState, Shard = replica.Shard, HardState = state });
        }

        if (ready.TruncateFrom > LogIndex.Zero)
        {
            batch.Records.Add(new NodeLogRecord { Kind = NodeLogRecordKind.Truncate, Shard = replica.Shard, Index = ready.TruncateFrom });
        }

        foreach (Entry entry in ready.Entries)
        {
            batch.Records.Add(new NodeLogRecord { Kind = NodeLogRecordKind.Entry, Shard = replica.Shard, Entry = entry });
            writes.OnLogged(entry);
        }

        batch.Tickets.Add((replica, ready.PersistTicket));
        return true;
    }

    private bool TryInstall(InstallSnapshot snapshot, HardState? changed)
    {
        if (!receiver.TryInstall(snapshot))
        {
            return false;
        }

        HardState = changed ?? HardState;
        writes.OnSnapshot(snapshot.Index, machine.LastVersion);
        replica.OnInstalled();
        HardState state = HardState with { Commit = snapshot.Index };
        replica.Worker.Batch.Records.Add(
            NodeLogRecord.BaseOf(
                replica.Shard, state, snapshot.Index, snapshot.IndexTerm, snapshot.Membership, replica.Group.Forgotten) with
            {
                Reset = true,
            });
        return true;
    }
}
