using Henge.Core;
using Henge.Storage.Logs;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Manifests;

namespace Henge.Storage.Lsm.Writing;

/// <summary>
/// Puts the batches of the engine's own log into memtables while the log is being read. Records from before a range drop go to a memtable
/// of an earlier epoch than those from after it. Not thread-safe.
/// </summary>
internal sealed class ReplayTarget(ManifestState manifest, long capacityBytes)
{
    private readonly List<WriteBuffer> _buffers = [];

    public KeyspaceClocks Clocks { get; } = new();

    /// <summary>Batches that were applied.</summary>
    public long Batches { get; private set; }

    /// <summary>Applies a record, if tables do not hold it yet.</summary>
    public void Add(LogPosition position, ReadOnlySpan<byte> encoded, string directory)
    {
        if (position.Value < manifest.LogFloor)
        {
            return;
        }

        Batches++;
        if (!BatchApplier.Apply(encoded, BufferFor(position.Value), Clocks, applier: null))
        {
            throw new HengeException(
                ErrorCode.Corruption,
                $"The engine's log in {directory} has a batch at {position} that makes no sense, though its checksum is right. "
                    + "It was written by a faulty build.");
        }
    }

    /// <summary>The memtables, oldest first; the last one is to be written on.</summary>
    public List<WriteBuffer> Finish(ulong logEnd)
    {
        if (_buffers.Count == 0 || _buffers[^1].Epoch != manifest.Epoch)
        {
            _buffers.Add(new WriteBuffer(capacityBytes, manifest.Epoch, logEnd));
        }

        for (int i = 0; i + 1 < _buffers.Count; i++)
        {
            _buffers[i].Seal();
        }

        return _buffers;
    }

    /// <summary>Frees the memtables when the engine does not come to be.</summary>
    public void Free() => _buffers.ForEach(static buffer => buffer.Table.Release());

    private WriteBuffer BufferFor(ulong position)
    {
        ulong epoch = manifest.Drops.Count == 0 ? manifest.Epoch : 0;
        foreach (RangeDrop drop in manifest.Drops.Values)
        {
            epoch = drop.LogPosition <= position ? Math.Max(epoch, drop.Epoch) : epoch;
        }

        if (_buffers.Count == 0 || _buffers[^1].Epoch != epoch || _buffers[^1].Table.ApproximateBytes >= capacityBytes)
        {
            _buffers.Add(new WriteBuffer(capacityBytes, epoch, position));
        }

        return _buffers[^1];
    }
}
