using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Iterators;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.Settings;
using Henge.Storage.Lsm.State;
using Henge.Storage.Lsm.Tables;

namespace Henge.Storage.Lsm.Compactions;

/// <summary>
/// Merges tables, or lists them in another level. One at a time. Between any two of its steps anything else may happen to the engine: when
/// a drop has taken away a table that it worked on, its edit does not fit any more, and its result is thrown away (decision 0130).
/// </summary>
internal sealed class CompactionJob(EngineState state)
{
    private readonly EngineParts _parts = state.Parts;
    private long _bytesWritten;
    private long _count;
    private long _discarded;

    public long BytesWritten => Interlocked.Read(ref _bytesWritten);

    public long Count => Interlocked.Read(ref _count);

    /// <summary>Compactions whose result was thrown away.</summary>
    public long Discarded => Interlocked.Read(ref _discarded);

    /// <summary>Does one compaction, the one that is chosen among the levels of this moment; no steps when none is.</summary>
    public IEnumerable<BackgroundPoint> Run(Func<LevelSet, Compaction?> choose)
    {
        SuperVersion version = state.Acquire(out int stripe);
        try
        {
            if (choose(version.Levels) is not { } compaction)
            {
                yield break;
            }

            yield return BackgroundPoint.Chosen;
            VersionEdit edit = RemoveInputs(compaction);
            bool installed;
            if (compaction.IsMove)
            {
                edit.AddedTables.AddRange(compaction.Inputs.Select(table => (compaction.OutputLevel, table.Meta)));
                installed = state.TryInstall(edit, [], []);
            }
            else
            {
                using OutputTables output = CreateOutput(compaction, version.Levels);
                using InternalIterator merge = MergingIterator.Create(CreateSources(compaction, version.Levels));
                var below = new LowerLevelCheck(version.Levels, compaction.OutputLevel);
                foreach (BackgroundPoint point in output.Write(new HistoryFilter(merge, state.Floor, below.IsClear)))
                {
                    yield return point;
                }

                Interlocked.Add(ref _bytesWritten, output.BytesWritten);
                installed = output.TryInstall(edit, []);
            }

            if (installed)
            {
                Interlocked.Increment(ref _count);
            }
            else
            {
                Interlocked.Increment(ref _discarded);
            }

            yield return installed ? BackgroundPoint.Installed : BackgroundPoint.Discarded;
        }
        finally
        {
            version.Release(stripe);
        }
    }

    private static VersionEdit RemoveInputs(Compaction compaction)
    {
        var edit = new VersionEdit();
        edit.RemovedTables.AddRange(compaction.Inputs.Select(table => (compaction.Level, table.Meta.Number)));
        edit.RemovedTables.AddRange(compaction.Overlapped.Select(table => (compaction.OutputLevel, table.Meta.Number)));
        return edit;
    }

    private OutputTables CreateOutput(Compaction compaction, LevelSet levels)
    {
        // All drops known here are applied on the way, so that the output is of the last one's epoch. Those that come later are above it,
        // and hide their range in it.
        ulong epoch = compaction.AllInputs.Max(static table => table.Meta.Epoch);
        epoch = Math.Max(epoch, levels.Drops.Length > 0 ? levels.Drops[^1].Epoch : 0);
        LsmOptions options = _parts.Options;
        RateLimiter? limiter = options.CompactionBytesPerSecond > 0
            ? new RateLimiter(options.CompactionBytesPerSecond, options.Time, _parts.Scheduler) : null;
        return new OutputTables(state, epoch, options.TargetTableBytes, limiter, compaction.OutputLevel);
    }

    private List<InternalIterator> CreateSources(Compaction compaction, LevelSet levels)
    {
        var read = new TableReadOptions { FillCache = false, Sequential = true, Keyspaces = state.Keyspaces };
        var sources = new List<InternalIterator>();
        foreach (TableHandle table in compaction.Level == 0 ? compaction.Inputs : [])
        {
            sources.Add(DropFilterIterator.Over(table, levels.Drops.Any(drop => drop.Touches(table.Meta)) ? levels.Drops : null, read));
        }

        if (compaction.Level != 0)
        {
            sources.Add(new LevelIterator(compaction.Inputs, DropsOf(compaction.Inputs, levels), read));
        }

        if (compaction.Overlapped.Length > 0)
        {
            sources.Add(new LevelIterator(compaction.Overlapped, DropsOf(compaction.Overlapped, levels), read));
        }

        return sources;
    }

    private static RangeDrop[]?[]? DropsOf(TableHandle[] tables, LevelSet levels) =>
        levels.Drops.Length == 0
            ? null
            : Array.ConvertAll(
                tables,
                table => Array.FindAll(levels.Drops, drop => drop.Touches(table.Meta)) is { Length: > 0 } found ? found : null);
}
