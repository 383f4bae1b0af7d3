using Henge.Storage.Bitcask.State;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.MemTables;

namespace Henge.Storage.Bitcask.Merging;

/// <summary>
/// Makes the index of a keyspace anew, for its size and without what is gone. Entries that come meanwhile go to both, so writers wait only
/// while the one takes the other's place. Runs in the same lane as merges, so no address is replaced meanwhile.
/// </summary>
internal sealed class IndexRebuild(BitcaskState state, BatchWriter writer)
{
    /// <summary>A keyspace whose index is to be made anew; null when there is none.</summary>
    public uint? FindDue()
    {
        lock (writer.Gate)
        {
            foreach ((uint keyspace, KeyspaceIndex index) in writer.Indexes)
            {
                if (index.IsRebuildDue)
                {
                    return keyspace;
                }
            }
        }

        return null;
    }

    public IEnumerable<BackgroundPoint> Run(uint keyspace)
    {
        KeyspaceIndex? index;
        MemTable copy;
        long capacity;
        lock (writer.Gate)
        {
            index = writer.FindIndex(keyspace);
            if (index is null || state.IsClosed)
            {
                yield break;
            }

            // Half as much again as there is now, less what is gone.
            double kept = 1 - ((double)index.Gone / Math.Max(1, index.Table.EntryCount));
            capacity = Math.Max(KeyspaceIndex.SmallestBytes, (long)(index.Table.ApproximateBytes * kept * 1.5));
            copy = new MemTable(capacity);
            index.Copy = copy;
            index.Table.Retain();
        }

        bool isInstalled = false;
        try
        {
            using InternalIterator source = index.Table.CreateIterator();
            source.SeekToFirst();
            while (source.Valid)
            {
                state.ThrowIfUnusable();
                Step(copy, source);
                yield return BackgroundPoint.Writing;
            }

            lock (writer.Gate)
            {
                if (!state.IsClosed && writer.FindIndex(keyspace) == index)
                {
                    lock (state.IndexLock)
                    {
                        writer.Replace(keyspace, new KeyspaceIndex(copy, capacity));
                    }

                    isInstalled = true;
                }
            }

            yield return isInstalled ? BackgroundPoint.Installed : BackgroundPoint.Discarded;
        }
        finally
        {
            lock (writer.Gate)
            {
                index.Copy = null;
                if (!isInstalled)
                {
                    copy.Release();
                }
            }

            index.Table.Release();
        }
    }

    private unsafe void Step(MemTable copy, InternalIterator source)
    {
        for (int i = 0; i < state.Options.StepEntries && source.Valid; i++, source.Next())
        {
            ReadOnlySpan<byte> value = source.Value;
            fixed (byte* pointer = value)
            {
                if (state.FindSegment(Locator.AddressOf(pointer, value.Length).Segment) is { LastView: long.MaxValue })
                {
                    IndexCopy.Add(copy, source);
                }
            }
        }
    }
}
