using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.Manifests;

namespace Henge.Storage.Lsm.State;

/// <summary>
/// All that a read needs, at one moment: the memtable that is written, those that wait for their flush (newest first), and the tables.
/// Readers take a reference without a lock; a new one takes its place at each seal, flush, compaction and drop.
/// </summary>
internal sealed class SuperVersion : StripedReferences
{
    public SuperVersion(WriteBuffer active, WriteBuffer[] sealedBuffers, LevelSet levels)
    {
        Active = active;
        Sealed = sealedBuffers;
        Levels = levels;
        active.Table.Retain();
        foreach (WriteBuffer buffer in sealedBuffers)
        {
            buffer.Table.Retain();
        }

        levels.Retain();
    }

    public WriteBuffer Active { get; }

    public WriteBuffer[] Sealed { get; }

    public LevelSet Levels { get; }

    /// <summary>The newest entry of a key at or below a version, tombstones included.</summary>
    public bool TryGet(in LookupKey key, out FoundEntry entry)
    {
        if (TryGet(Active, key, out entry))
        {
            return true;
        }

        foreach (WriteBuffer buffer in Sealed)
        {
            if (TryGet(buffer, key, out entry))
            {
                return true;
            }
        }

        return Levels.TryGet(key, out entry);
    }

    /// <summary>The drops that may hide something in a buffer; null if none.</summary>
    public RangeDrop[]? GetDrops(WriteBuffer buffer)
    {
        RangeDrop[] drops = Levels.Drops;
        return drops.Length > 0 && drops[^1].Epoch > buffer.Epoch ? drops : null;
    }

    protected override void Free()
    {
        Active.Table.Release();
        foreach (WriteBuffer buffer in Sealed)
        {
            buffer.Table.Release();
        }

        Levels.Release();
    }

    private bool TryGet(WriteBuffer buffer, in LookupKey key, out FoundEntry entry)
    {
        if (GetDrops(buffer) is { } drops && RangeDrop.AnyHides(drops, buffer.Epoch, key.InternalKeySpan[..key.PrefixLength]))
        {
            entry = default;
            return false;
        }

        return buffer.Table.TryGet(key, out entry);
    }
}
