using System.Runtime.CompilerServices;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Bitcask.Settings;
using Henge.Storage.Bitcask.State;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.MemTables;

namespace Henge.Storage.Bitcask.Merging;

/// <summary>
/// Tells for one entry of a segment whether a merge must copy it. The index says: it knows of every entry that a segment holds and no drop
/// hides, so also of older ones that a tombstone still has to hide. Not thread-safe.
/// </summary>
/// <param name="state">The engine's state.</param>
/// <param name="limits">Up to where history may go.</param>
/// <param name="inputs">The segments that are merged.</param>
internal sealed unsafe class Liveness(BitcaskState state, HistoryLimits limits, HashSet<uint> inputs)
{
    private byte[] _buffer = GC.AllocateArray<byte>(1024, pinned: true);

    /// <summary>
    /// True when an entry is live. <paramref name="table"/> is its keyspace's index, to which the caller holds a reference.
    /// </summary>
    [SkipLocalsInit]
    public bool IsLive(MemTable table, in HintEntry entry, EntryAddress address)
    {
        Reserve(entry.Key.Length);
        fixed (byte* buffer = _buffer)
        {
            SkipListNode* node = table.Find(new LookupKey(buffer, entry.Keyspace, entry.Key, entry.Version), entry.Kind);
            if (node == null || Locator.AddressOf(node) != address)
            {
                // Dropped, or written again after a drop.
                return false;
            }

            Core.Version limit = limits.LimitOf(entry.Keyspace);
            if (entry.Version > limit)
            {
                return true;
            }

            var lookup = new LookupKey(buffer, entry.Keyspace, entry.Key, limit);
            for (SkipListNode* newer = table.FindAtOrAfter(lookup); newer != node; newer = SkipListNode.Next(newer, 0))
            {
                if (newer == null)
                {
                    break;
                }

                if (limits.CountsAlone(Locator.AddressOf(newer)))
                {
                    return false;
                }
            }

            return !limits.IsNothing(entry.Keyspace, entry.Kind, entry.Header) || HidesOlder(node, lookup);
        }
    }

    // Older entries that lie in the inputs go with this one, and those in segments that are replaced already cannot come back.
    private bool HidesOlder(SkipListNode* node, in LookupKey key)
    {
        if (state.Options.Bugs.DropsTombstonesTooEarly)
        {
            return false;
        }

        for (SkipListNode* older = SkipListNode.Next(node, 0); MemTable.IsOf(older, key); older = SkipListNode.Next(older, 0))
        {
            uint id = Locator.AddressOf(older).Segment;
            if (!inputs.Contains(id) && state.FindSegment(id) is { } segment && segment.LastView == long.MaxValue)
            {
                return true;
            }
        }

        return false;
    }

    private void Reserve(int keyLength)
    {
        int size = LookupKey.BufferBytes(keyLength);
        if (size > _buffer.Length)
        {
            _buffer = GC.AllocateArray<byte>(size * 2, pinned: true);
        }
    }
}
