using System.Buffers.Binary;
using Henge.Core;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Manifests;

namespace Henge.Storage.Lsm.Levels;

/// <summary>A part of a table that could not be read.</summary>
/// <param name="Table">The table.</param>
/// <param name="First">The first prefix that may be in it.</param>
/// <param name="Last">The last prefix that may be in it.</param>
/// <param name="Error">What was wrong.</param>
internal sealed record DamagedPart(TableMeta Table, byte[] First, byte[] Last, HengeException Error)
{
    /// <summary>True when the part may hold an entry of a keyspace that no drop hides.</summary>
    public bool MayHold(uint keyspace, RangeDrop[] drops)
    {
        Span<byte> lowest = stackalloc byte[InternalKey.KeyspaceBytes];
        BinaryPrimitives.WriteUInt32BigEndian(lowest, keyspace);
        ReadOnlySpan<byte> at = First.AsSpan().SequenceCompareTo(lowest) > 0 ? First : lowest;
        while (at.StartsWith(lowest) && at.SequenceCompareTo(Last) <= 0)
        {
            if (Next(at, drops) is not { } after)
            {
                return true;
            }

            if (after.Length == 0)
            {
                return false;
            }

            at = after;
        }

        return false;
    }

    // The end of a drop that hides a prefix in the table; null when there is none.
    private byte[]? Next(ReadOnlySpan<byte> at, RangeDrop[] drops)
    {
        foreach (RangeDrop drop in drops)
        {
            if (drop.Epoch > Table.Epoch && drop.Contains(at))
            {
                return drop.UpperPrefix;
            }
        }

        return null;
    }
}

/// <summary>
/// Parts of tables that were found damaged, by whoever met them: reads, iterators, compactions, or the opening of the engine. Kept until
/// the owner asks. Thread-safe.
/// </summary>
internal sealed class DamagedParts
{
    // More than that at once is a disk that is lost; what is read again is found again.
    private const int MaxParts = 1_000;
    private readonly Lock _lock = new();
    private readonly Dictionary<(ulong Table, int Block), DamagedPart> _parts = [];
    private int _count;

    /// <summary>A block of a table could not be read.</summary>
    public void Add(int block, DamagedPart part)
    {
        lock (_lock)
        {
            if (_parts.Count < MaxParts)
            {
                _parts[(part.Table.Number, block)] = part;
                Volatile.Write(ref _count, _parts.Count);
            }
        }
    }

    /// <summary>What was found since the last call.</summary>
    public DamagedPart[] Take()
    {
        if (Volatile.Read(ref _count) == 0)
        {
            return [];
        }

        lock (_lock)
        {
            DamagedPart[] parts = [.. _parts.Values];
            _parts.Clear();
            Volatile.Write(ref _count, 0);
            return parts;
        }
    }
}
