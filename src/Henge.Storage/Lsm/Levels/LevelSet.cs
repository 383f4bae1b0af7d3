using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Manifests;

namespace Henge.Storage.Lsm.Levels;

/// <summary>
/// Which tables there are, by level, and which ranges are dropped: one immutable state between two edits. L0 is ordered newest first and
/// may overlap; the others are sorted and disjoint by key. Reference counted.
/// </summary>
internal sealed class LevelSet
{
    public const int LevelCount = VersionEdit.LevelCount;

    private int _references = 1;

    public LevelSet(TableHandle[][] levels, RangeDrop[] drops)
    {
        Levels = levels;
        Drops = drops;
        if (drops.Length > 0)
        {
            DropsOf = Array.ConvertAll(
                levels,
                tables =>
                    Array.ConvertAll(
                        tables,
                        table => Array.FindAll(drops, drop => drop.Touches(table.Meta)) is { Length: > 0 } found ? found : null));
        }

        foreach (TableHandle[] level in levels)
        {
            foreach (TableHandle table in level)
            {
                table.Retain();
                TableCount++;
            }
        }
    }

    public TableHandle[][] Levels { get; }

    public RangeDrop[] Drops { get; }

    /// <summary>For each table the drops that may hide a part of it; null when there are no drops at all.</summary>
    public RangeDrop[]?[][]? DropsOf { get; }

    public int TableCount { get; }

    public static LevelSet Empty() => new([[], [], [], [], [], [], []], []);

    public RangeDrop[]? GetDrops(int level, int index) => DropsOf?[level][index];

    public void Retain() => Interlocked.Increment(ref _references);

    public void Release()
    {
        if (Interlocked.Decrement(ref _references) == 0)
        {
            foreach (TableHandle[] level in Levels)
            {
                foreach (TableHandle table in level)
                {
                    table.Release();
                }
            }
        }
    }

    public long BytesOf(int level)
    {
        long bytes = 0;
        foreach (TableHandle table in Levels[level])
        {
            bytes += table.Meta.Bytes;
        }

        return bytes;
    }

    /// <summary>
    /// Index of the first table of a sorted level whose last prefix is at or after one; the level's length if there is none.
    /// </summary>
    public static int FindTable(TableHandle[] level, ReadOnlySpan<byte> prefix)
    {
        int low = 0;
        int high = level.Length;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (level[middle].Meta.LargestPrefix.SequenceCompareTo(prefix) < 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }

    /// <summary>
    /// The newest entry of a key at or below a version, tombstones included; newest tables first, since versions of one key rise in the
    /// order in which they are applied.
    /// </summary>
    public bool TryGet(in LookupKey key, out FoundEntry entry)
    {
        var prefix = key.InternalKeySpan[..key.PrefixLength];
        TableHandle[] level0 = Levels[0];
        for (int i = 0; i < level0.Length; i++)
        {
            TableHandle table = level0[i];
            if (table.Meta.SmallestPrefix.SequenceCompareTo(prefix) <= 0 && table.Meta.LargestPrefix.SequenceCompareTo(prefix) >= 0
                && TryGet(table, GetDrops(0, i), key, prefix, out entry))
            {
                return true;
            }
        }

        for (int level = 1; level < LevelCount; level++)
        {
            TableHandle[] tables = Levels[level];
            if (tables.Length == 0)
            {
                continue;
            }

            int i = FindTable(tables, prefix);
            if (i < tables.Length && tables[i].Meta.SmallestPrefix.SequenceCompareTo(prefix) <= 0
                && TryGet(tables[i], GetDrops(level, i), key, prefix, out entry))
            {
                return true;
            }
        }

        entry = default;
        return false;
    }

    /// <summary>
    /// The state after an edit. Handles of tables that stay are shared; those that go are marked, so that their files are deleted when
    /// nothing can reach them. New tables come from <paramref name="opened"/>.
    /// </summary>
    public LevelSet With(VersionEdit edit, IReadOnlyDictionary<ulong, TableHandle> opened)
    {
        var added = edit.AddedTables.Select(static item => item.Table.Number).ToHashSet();
        var all = Levels.SelectMany(static level => level).ToDictionary(static table => table.Meta.Number);
        var levels = new TableHandle[LevelCount][];
        for (int level = 0; level < LevelCount; level++)
        {
            var removed = edit.RemovedTables.Where(item => item.Level == level).Select(static item => item.Number).ToHashSet();
            var fresh = edit.AddedTables.Where(item => item.Level == level)
                .Select(item => opened.TryGetValue(item.Table.Number, out TableHandle? handle) ? handle : all[item.Table.Number]);
            IEnumerable<TableHandle> tables = Levels[level].Where(table => !removed.Contains(table.Meta.Number)).Concat(fresh);
            levels[level] = level == 0
                ? [.. tables.OrderByDescending(static table => table.Meta.Number)]
                : [.. tables.OrderBy(static table => table.Meta.Smallest, InternalKeyComparer.Instance)];
        }

        foreach ((_, ulong number) in edit.RemovedTables)
        {
            if (!added.Contains(number))
            {
                all[number].MarkRemoved();
            }
        }

        var drops = Drops.Where(drop => !edit.RetiredDrops.Contains(drop.Epoch)).Concat(edit.AddedDrops);
        return new LevelSet(levels, [.. drops.OrderBy(static drop => drop.Epoch)]);
    }

    private static bool TryGet(TableHandle table, RangeDrop[]? drops, in LookupKey key, ReadOnlySpan<byte> prefix, out FoundEntry entry)
    {
        if (drops is not null && RangeDrop.AnyHides(drops, table.Meta.Epoch, prefix))
        {
            entry = default;
            return false;
        }

        return table.Reader.TryGet(key, out entry);
    }
}
