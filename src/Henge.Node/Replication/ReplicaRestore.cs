using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Log;
using Henge.Node.StateMachine;
using Henge.Node.Workers;
using Henge.Raft;
using Henge.Storage;

namespace Henge.Node.Replication;

/// <summary>
/// Brings a shard's log and state together after a restart. They can only differ where a snapshot was being installed: the engine may have
/// less of it than the log says (then the snapshot's file is still there), or all of it while the log still ends before it (then the state
/// machine knows what it was of).
/// </summary>
internal static class ReplicaRestore
{
    /// <summary>Makes them fit, or throws <see cref="HengeException"/> (Corruption).</summary>
    public static void Reconcile(
        NodeContext node,
        Worker worker,
        ShardLogReplay replay,
        ShardStateMachine machine,
        ShardId shard,
        out LogIndex snapshotOnDisk)
    {
        string directory = Path.Combine(node.Options.DataDirectory, "snapshots");
        ShardLog log = replay.Log;
        snapshotOnDisk = default;
        if (machine.State == MachineState.Unreadable && log.CompactedIndex <= machine.AppliedIndex)
        {
            // The log goes on from it, so its leader can give it another state. One that was being installed, or was just installed, lies
            // here.
            InstallSnapshot? here = SnapshotFile.Read(node.Environment.FileSystem, directory, shard, onChunk: null);
            if (here is not null && here.Index >= machine.AppliedIndex)
            {
                SnapshotReceiver.InstallFrom(node, directory, shard, machine, here);
                snapshotOnDisk = here.Index;
            }
        }
        else if (machine.State != MachineState.Ready || log.CompactedIndex > machine.AppliedIndex)
        {
            InstallSnapshot? header = SnapshotFile.Read(node.Environment.FileSystem, directory, shard, onChunk: null);
            if (header is null || header.Index < log.CompactedIndex)
            {
                throw new HengeException(
                    ErrorCode.Corruption,
                    $"The engine has {shard} up to {machine.AppliedIndex}, and its log begins behind {log.CompactedIndex}: what lies "
                        + $"between is gone. Data of the engine was lost or replaced. Restore the data directory from a copy. "
                        + $"{DirectoryAdvice.Node}");
            }

            SnapshotReceiver.InstallFrom(node, directory, shard, machine, header);
            snapshotOnDisk = header.Index;
        }
        else
        {
            // One that was not needed, or that the engine holds durably by now.
            SnapshotFile.Delete(node.Environment.FileSystem, directory, shard);
        }

        SnapshotMeta installed = machine.InstalledSnapshot;
        if (!installed.IsNone && installed.Index > log.CompactedIndex && !HasEntry(log, installed))
        {
            Invariant.Check(
                machine.AppliedIndex == installed.Index,
                "nothing is applied behind a snapshot before the log says that it was installed");
            if (!Membership.TryDecode(installed.Extra.Span, out Membership? membership))
            {
                throw new HengeException(
                    ErrorCode.Corruption,
                    $"The membership in the snapshot of {shard} cannot be read. Restore the data directory from a copy. "
                        + $"{DirectoryAdvice.Node}");
            }

            // The term may have come with the snapshot, and not have been written yet. A node that voted in it has written it.
            replay.RaiseTerm(installed.Term);
            log.Reset(installed.Index, installed.Term, membership);
            worker.Batch.Records.Add(
                NodeLogRecord.BaseOf(shard, replay.HardState, installed.Index, installed.Term, membership, replay.Forgotten) with
                {
                    Reset = true,
                });
        }

        if (machine.AppliedIndex > log.LastIndex)
        {
            throw new HengeException(
                ErrorCode.Corruption,
                $"The engine has {shard} up to {machine.AppliedIndex}, and its log ends at {log.LastIndex}: the log was lost or replaced. "
                    + $"Nothing was changed. Restore the directory from a copy. {DirectoryAdvice.Node}");
        }
    }

    // The snapshot took the place of the state alone, and the log goes on from it; or the log got there by itself. Its entries behind the
    // snapshot were acknowledged, so they stay (Raft paper, figure 13, step 6).
    private static bool HasEntry(ShardLog log, in SnapshotMeta installed) =>
        installed.Index <= log.LastIndex && log.Locate(installed.Index).Term == installed.Term;
}
