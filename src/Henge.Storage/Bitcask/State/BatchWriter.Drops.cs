using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.MemTables;

namespace Henge.Storage.Bitcask.State;

/// <summary>Dropped ranges.</summary>
internal sealed partial class BatchWriter
{
    /// <summary>
    /// Drops a range, durably and at once. A whole keyspace costs two syncs; a part of one, a copy of the rest of its index as well,
    /// while writers wait.
    /// </summary>
    public void Drop(uint keyspace, ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper)
    {
        lock (Gate)
        {
            ThrowIfUnusable();
            var drop = new RangeDrop(ulong.MaxValue, keyspace, lower, upper, 0);
            if (HoldsAnything(keyspace))
            {
                // What is written from here on lies in a later epoch, in a segment of its own.
                ulong epoch = RollOrThrow(drop);
                lock (_state.IndexLock)
                {
                    if (FindIndex(keyspace) is { } index)
                    {
                        Replace(keyspace, drop.IsWholeKeyspace ? null : CopyWithout(index.Table, drop));
                    }
                }

                _state.AppliedEpoch = epoch;
            }

            if (drop.IsWholeKeyspace)
            {
                _state.Clocks.Reset(keyspace);
            }
        }

        MergeDue();
    }

    private bool HoldsAnything(uint keyspace)
    {
        foreach (Segment segment in _state.ListedSegments)
        {
            if (segment.Keyspaces.ContainsKey(keyspace))
            {
                return true;
            }
        }

        return false;
    }

    private static KeyspaceIndex CopyWithout(MemTable table, RangeDrop drop)
    {
        long capacity = Math.Max(KeyspaceIndex.SmallestBytes, table.ApproximateBytes);
        var copy = new MemTable(capacity);
        using InternalIterator source = table.CreateIterator();
        for (source.SeekToFirst(); source.Valid; source.Next())
        {
            if (!drop.Contains(InternalKey.GetPrefix(source.Key)))
            {
                IndexCopy.Add(copy, source);
            }
        }

        return new KeyspaceIndex(copy, capacity);
    }
}
