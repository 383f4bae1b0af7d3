using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.State;

namespace Henge.Storage.Lsm.Writing;

/// <summary>Writes groups of batches to the engine's own log, and applies them to the memtable. Thread-safe.</summary>
internal sealed class CommitQueue(EngineState state, EngineLog log, BatchApplier applier) : GroupCommit("LsmEngine")
{
    protected override long MaxGroupBytes => log.MaxBatchBytes;

    /// <summary>Returns when the batch is applied, and with <paramref name="sync"/> durable.</summary>
    public Core.Version CommitChecked(WriteBatch batch, bool sync, bool stamp)
    {
        if (batch.ByteCount > log.MaxRecordBytes)
        {
            throw new HengeException(
                ErrorCode.TooLarge,
                $"The batch has {batch.ByteCount} bytes, and one record of the engine's log takes {log.MaxRecordBytes}. Split it, or set "
                    + $"larger LogSegmentBytes.");
        }

        return Commit(batch, sync, stamp);
    }

    protected override void Write(List<Ticket> group)
    {
        lock (log.Gate)
        {
            WriteLocked(group);
        }
    }

    private void WriteLocked(List<Ticket> group)
    {
        state.ThrowIfUnusable();

        // Entered before the append, so that the log is not truncated over records that are not in a memtable yet.
        WriteBuffer buffer = state.EnterActive();
        try
        {
            bool sync = false;
            log.Batch.Clear();
            foreach (Ticket ticket in group)
            {
                if (ticket.Stamp)
                {
                    ticket.Version = applier.Stamp(ticket.Batch!);
                }

                log.Batch.Add(EngineLog.BatchKind, ticket.Batch!.Encoded);
                sync |= ticket.Sync;
            }

            try
            {
                log.Append(log.Batch);
                if (sync)
                {
                    log.SyncLocked();
                }
            }
            catch (DiskFullException error)
            {
                throw new HengeException(
                    ErrorCode.DiskFull,
                    $"The disk under {state.Parts.Directory} is full, so the batch was not written. Make room and try again.",
                    error);
            }
            catch (IOException error)
            {
                state.Fail(new IOException($"The engine's log could not be written: {error.Message}", error));
                throw;
            }

            foreach (Ticket ticket in group)
            {
                applier.Apply(ticket.Batch!, buffer);
            }

            applier.SealIfFull(buffer);
        }
        finally
        {
            buffer.Exit();
        }
    }
}
