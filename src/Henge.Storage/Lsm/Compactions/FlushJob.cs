using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Iterators;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.State;

namespace Henge.Storage.Lsm.Compactions;

/// <summary>
/// Writes sealed memtables to one table of L0. One at a time; between any two of its steps anything else may happen to the engine.
/// </summary>
internal sealed class FlushJob(EngineState state, EngineLog? log)
{
    private long _bytesWritten;
    private long _count;

    public long BytesWritten => Interlocked.Read(ref _bytesWritten);

    public long Count => Interlocked.Read(ref _count);

    /// <summary>Flushes memtables of one epoch, the oldest of those that wait.</summary>
    public IEnumerable<BackgroundPoint> Run(WriteBuffer[] buffers, WriteBuffer[] waiting)
    {
        foreach (WriteBuffer buffer in buffers)
        {
            buffer.WaitUntilQuiet();
        }

        SuperVersion version = state.Acquire(out int stripe);
        try
        {
            yield return BackgroundPoint.Chosen;

            // Drops that come later have a higher epoch than the output, so they hide their range in it as they did in the memtables.
            RangeDrop[] drops = version.Levels.Drops;
            ulong epoch = Math.Max(buffers[^1].Epoch, drops.Length > 0 ? drops[^1].Epoch : 0);
            using var output = new OutputTables(state, epoch, long.MaxValue, null, level: 0);
            using InternalIterator merge = MergingIterator.Create(CreateSources(buffers, drops));
            foreach (BackgroundPoint point in output.Write(new HistoryFilter(merge, state.Floor, static _ => false)))
            {
                yield return point;
            }

            Interlocked.Add(ref _bytesWritten, output.BytesWritten);
            var edit = new VersionEdit();
            AddPositions(buffers, edit);

            // Records below the next memtable's are in tables now.
            WriteBuffer next = waiting.Length > buffers.Length ? waiting[buffers.Length] : FindAfter(buffers[^1], version);
            if (log is not null)
            {
                // The log must reach up to its floor, or new records would be written below it after a crash.
                log.Sync();
                edit.LogFloor = next.LogStart;
                yield return BackgroundPoint.LogSynced;
            }

            output.TryInstall(edit, buffers);
            Interlocked.Increment(ref _count);
            yield return BackgroundPoint.Installed;
            log?.TruncateBelow(next.LogStart);
        }
        finally
        {
            version.Release(stripe);
        }
    }

    private static List<InternalIterator> CreateSources(WriteBuffer[] buffers, RangeDrop[] drops)
    {
        var sources = new List<InternalIterator>();
        foreach (WriteBuffer buffer in buffers.Reverse())
        {
            InternalIterator source = buffer.Table.CreateIterator();
            sources.Add(drops.Any(drop => drop.Epoch > buffer.Epoch) ? new DropFilterIterator(source, drops, buffer.Epoch) : source);
        }

        return sources;
    }

    private static void AddPositions(WriteBuffer[] buffers, VersionEdit edit)
    {
        foreach (WriteBuffer buffer in buffers)
        {
            foreach ((uint stream, ulong position) in buffer.GetPositions())
            {
                edit.Positions.RemoveAll(item => item.Stream == stream);
                edit.Positions.Add((stream, position));
            }
        }
    }

    private static WriteBuffer FindAfter(WriteBuffer last, SuperVersion version)
    {
        int index = Array.IndexOf(version.Sealed, last);
        return index > 0 ? version.Sealed[index - 1] : version.Active;
    }
}
