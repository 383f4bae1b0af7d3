using Henge.Storage.Logs;

namespace Henge.Storage.Lsm.Buffers;

/// <summary>
/// The engine's own log: one record for each batch. The lock keeps appends, the memtables that they go to, and the sealing of
/// memtables in one order; it is held over syncs, so that who waits meanwhile shares the next one. Thread-safe.
/// </summary>
internal sealed class EngineLog(SegmentedLog log) : IDisposable
{
    /// <summary>The record kind of an encoded <see cref="WriteBatch"/>.</summary>
    public const byte BatchKind = 1;

    /// <summary>Held while batches are appended and applied, and while a memtable is sealed.</summary>
    public object Gate { get; } = new();

    public LogBatch Batch { get; } = log.CreateBatch();

    public int MaxRecordBytes => log.MaxRecordBytes;

    public int MaxBatchBytes => log.MaxBatchBytes;

    /// <summary>Where the next record goes, or before. Only under the gate is that exact.</summary>
    public ulong End => log.End.Value;

    public void Append(LogBatch batch) => log.Append(batch);

    public void SyncLocked() => log.Sync();

    public void Sync()
    {
        lock (Gate)
        {
            log.Sync();
        }
    }

    public void TruncateBelow(ulong position)
    {
        lock (Gate)
        {
            log.TruncateFront(LogPosition.FromValue(position));
        }
    }

    public void Dispose()
    {
        lock (Gate)
        {
            log.Dispose();
        }
    }
}
