using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.Settings;

namespace Henge.Storage.Lsm.Compactions;

/// <summary>
/// Chooses what to compact next: the level that is most over its target; else tables that are mostly garbage, or hold dropped ranges.
/// </summary>
internal sealed class CompactionPicker(LsmOptions options)
{
    /// <summary>A merge that would later meet more than this many targets of the level below is cut into smaller tables.</summary>
    public const int MaxGrandparentTables = 10;

    /// <param name="levels">The levels.</param>
    /// <param name="floor">The history floor.</param>
    /// <param name="isExcluded">Tables that cannot be compacted (they are damaged).</param>
    public Compaction? Pick(LevelSet levels, Core.Version floor, Predicate<TableHandle> isExcluded)
    {
        var targets = new LevelTargets(levels, options);
        foreach (
            (int level, double score) in Scores(levels, targets)
                .Where(static item => item.Score >= 1)
                .OrderByDescending(static item => item.Score))
        {
            Compaction? picked = level == 0
                ? PickLevel0(levels, targets.BaseLevel, $"{levels.Levels[0].Length} tables in L0", isExcluded)
                : PickFromLevel(levels, level, $"L{level} is {score:F1} times its target", isExcluded);
            if (picked is not null)
            {
                return picked;
            }
        }

        return PickGarbage(levels, targets.BaseLevel, floor, isExcluded);
    }

    /// <summary>The next step on the way to having everything in the last level that holds data; null when it is there.</summary>
    public Compaction? PickFull(LevelSet levels, Predicate<TableHandle> isExcluded)
    {
        int last = LevelSet.LevelCount - 1;
        int baseLevel = new LevelTargets(levels, options).BaseLevel;
        if (levels.Levels[0].Length > 0)
        {
            return PickLevel0(levels, baseLevel, "asked for", isExcluded);
        }

        for (int level = 1; level < last; level++)
        {
            if (levels.Levels[level].Length > 0 && !levels.Levels[level].Any(table => isExcluded(table)))
            {
                return Build(levels, level, level + 1, levels.Levels[level], "asked for", isExcluded);
            }
        }

        return null;
    }

    private IEnumerable<(int Level, double Score)> Scores(LevelSet levels, LevelTargets targets)
    {
        yield return (0, (double)levels.Levels[0].Length / options.L0CompactionTrigger);
        for (int level = 1; level < LevelSet.LevelCount - 1; level++)
        {
            long bytes = levels.BytesOf(level);
            if (bytes > 0)
            {
                yield return (level, targets[level] == 0 ? 2 : (double)bytes / targets[level]);
            }
        }
    }

    // All of L0: what is left out would have to be newer than what goes down, and L0 holds few tables.
    private Compaction? PickLevel0(LevelSet levels, int baseLevel, string reason, Predicate<TableHandle> isExcluded)
    {
        TableHandle[] inputs = levels.Levels[0];
        return inputs.Length == 0 || inputs.Any(table => isExcluded(table))
            ? null
            : Build(levels, 0, baseLevel, inputs, reason, isExcluded);
    }

    // The table that drags the fewest bytes of the next level along, for each byte of its own.
    private Compaction? PickFromLevel(LevelSet levels, int level, string reason, Predicate<TableHandle> isExcluded)
    {
        Compaction? best = null;
        double bestCost = double.MaxValue;
        foreach (TableHandle table in levels.Levels[level])
        {
            if (!isExcluded(table) && Build(levels, level, level + 1, [table], reason, isExcluded) is { } candidate)
            {
                double cost = (double)candidate.Overlapped.Sum(static t => t.Meta.Bytes) / (table.Meta.Bytes + 1);
                if (cost < bestCost)
                {
                    (best, bestCost) = (candidate, cost);
                }
            }
        }

        return best;
    }

    // Only what a compaction would really get rid of counts, or the same table would be written over and over.
    private Compaction? PickGarbage(LevelSet levels, int baseLevel, Core.Version floor, Predicate<TableHandle> isExcluded)
    {
        int last = LastUsedLevel(levels);
        for (int level = 0; level <= last; level++)
        {
            for (int i = 0; i < levels.Levels[level].Length; i++)
            {
                TableHandle table = levels.Levels[level][i];
                bool dropped = levels.GetDrops(level, i) is not null;
                if (isExcluded(table) || (!dropped && !IsMostlyGarbage(table.Meta, floor, level == last)))
                {
                    continue;
                }

                string reason = dropped ? "a dropped range" : "garbage";
                Compaction? picked = level == 0 ? PickLevel0(levels, baseLevel, reason, isExcluded)
                    : level == last || dropped ? Rewrite(level, table, reason)
                    : Build(levels, level, level + 1, [table], reason, isExcluded);
                if (picked is not null)
                {
                    return picked;
                }
            }
        }

        return null;
    }

    private static bool IsMostlyGarbage(TableMeta table, Core.Version floor, bool isLast)
    {
        bool system = (table.Smallest[0] & 0x80) != 0;
        if (!system && table.MaxVersion > floor)
        {
            return false;
        }

        // Expired values count once all of them have: the last level would be written anew for each single one otherwise.
        long expired = isLast && !system && table.MaxExpiresAtMs <= floor.Milliseconds ? table.Expiring : 0;
        return table.Garbage + table.Tombstones + expired > table.Entries / 2;
    }

    private static Compaction Rewrite(int level, TableHandle table, string reason) =>
        new() { Level = level, OutputLevel = level, Inputs = [table], Overlapped = [], Reason = reason };

    private static Compaction? Build(
        LevelSet levels, int level, int outputLevel, TableHandle[] inputs, string reason, Predicate<TableHandle> isExcluded)
    {
        byte[] smallest = inputs.Select(static table => table.Meta.Smallest).Min(InternalKeyComparer.Instance)!;
        byte[] largest = inputs.Select(static table => table.Meta.Largest).Max(InternalKeyComparer.Instance)!;
        TableHandle[] overlapped = Array.FindAll(
            levels.Levels[outputLevel],
            table => table.Meta.Overlaps(InternalKey.GetPrefix(smallest), InternalKey.GetPrefix(largest)));
        if (overlapped.Any(table => isExcluded(table)))
        {
            return null;
        }

        return new Compaction
        {
            Level = level,
            OutputLevel = outputLevel,
            Inputs = inputs,
            Overlapped = overlapped,
            Reason = reason,
            IsMove = CanMove(levels, outputLevel, inputs, overlapped),
        };
    }

    // A move costs nothing now; but tables with much garbage or dropped ranges are better written anew.
    private static bool CanMove(LevelSet levels, int outputLevel, TableHandle[] inputs, TableHandle[] overlapped)
    {
        bool touched = levels.Drops.Any(drop => inputs.Any(table => drop.Touches(table.Meta)));
        if (
            overlapped.Length > 0
            || touched
            || inputs.Any(static table => (table.Meta.Garbage + table.Meta.Tombstones) * 4 > table.Meta.Entries))
        {
            return false;
        }

        TableHandle[] sorted = [.. inputs.OrderBy(static table => table.Meta.Smallest, InternalKeyComparer.Instance)];
        for (int i = 1; i < sorted.Length; i++)
        {
            if (sorted[i - 1].Meta.Overlaps(sorted[i].Meta))
            {
                return false;
            }
        }

        if (outputLevel + 1 >= LevelSet.LevelCount)
        {
            return true;
        }

        long below = levels
            .Levels[outputLevel + 1]
            .Where(table => inputs.Any(input => input.Meta.Overlaps(table.Meta)))
            .Sum(static table => table.Meta.Bytes);
        return below <= MaxGrandparentTables * inputs.Sum(static table => table.Meta.Bytes);
    }

    private static int LastUsedLevel(LevelSet levels)
    {
        for (int level = LevelSet.LevelCount - 1; level > 0; level--)
        {
            if (levels.Levels[level].Length > 0)
            {
                return level;
            }
        }

        return 0;
    }
}
