using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.Manifests;

/// <summary>All that the edits of a manifest add up to. Not thread-safe.</summary>
internal sealed class ManifestState
{
    private readonly SortedDictionary<ulong, TableMeta>[] _levels = new SortedDictionary<ulong, TableMeta>[VersionEdit.LevelCount];

    public ManifestState()
    {
        for (int level = 0; level < _levels.Length; level++)
        {
            _levels[level] = [];
        }
    }

    public ulong NextFileNumber { get; set; } = 1;

    public ulong Epoch { get; set; } = 1;

    public Core.Version HistoryFloor { get; set; }

    public ulong LogFloor { get; set; }

    /// <summary>Tables by number (and so by age) for each level.</summary>
    public IReadOnlyList<SortedDictionary<ulong, TableMeta>> Levels => _levels;

    public SortedDictionary<uint, ulong> Positions { get; } = [];

    public SortedDictionary<uint, Core.Version> KeyspaceVersions { get; } = [];

    public SortedDictionary<ulong, RangeDrop> Drops { get; } = [];

    /// <summary>Takes an edit in; says what is wrong with it, and changes nothing, when it does not fit.</summary>
    public string? TryApply(VersionEdit edit)
    {
        if (FindProblem(edit) is { } problem)
        {
            return problem;
        }

        NextFileNumber = edit.NextFileNumber ?? NextFileNumber;
        Epoch = edit.Epoch ?? Epoch;
        HistoryFloor = edit.HistoryFloor is { } floor && floor > HistoryFloor ? floor : HistoryFloor;
        LogFloor = edit.LogFloor ?? LogFloor;
        foreach ((int level, ulong number) in edit.RemovedTables)
        {
            _levels[level].Remove(number);
        }

        foreach ((int level, TableMeta table) in edit.AddedTables)
        {
            _levels[level].Add(table.Number, table);
        }

        foreach (uint keyspace in edit.ForgottenKeyspaces)
        {
            KeyspaceVersions.Remove(keyspace);
        }

        foreach ((uint stream, ulong position) in edit.Positions)
        {
            Positions[stream] = position;
        }

        foreach ((uint keyspace, Core.Version version) in edit.KeyspaceVersions)
        {
            if (version > KeyspaceVersions.GetValueOrDefault(keyspace))
            {
                KeyspaceVersions[keyspace] = version;
            }
        }

        foreach (RangeDrop drop in edit.AddedDrops)
        {
            Drops[drop.Epoch] = drop;
        }

        foreach (ulong epoch in edit.RetiredDrops)
        {
            Drops.Remove(epoch);
        }

        return null;
    }

    /// <summary>
    /// Says why an edit does not fit, null when it does: it removes what is not there, adds what is there already, or would leave a level
    /// below L0 whose tables overlap.
    /// </summary>
    public string? FindProblem(VersionEdit edit)
    {
        var removed = new HashSet<(int, ulong)>();
        foreach ((int level, ulong number) in edit.RemovedTables)
        {
            if (!_levels[level].ContainsKey(number) || !removed.Add((level, number)))
            {
                return $"it removes {EngineFiles.Table(number)} from L{level}, which does not hold it";
            }
        }

        var added = new HashSet<ulong>();
        foreach ((int level, TableMeta table) in edit.AddedTables)
        {
            bool listed =
                Array.FindIndex(_levels, tables => tables.ContainsKey(table.Number)) is >= 0 and var at
                && !removed.Contains((at, table.Number));
            if (listed || !added.Add(table.Number))
            {
                return $"it adds {EngineFiles.Table(table.Number)} to L{level} twice";
            }
        }

        return FindOverlap(edit, removed);
    }

    /// <summary>True when a table that an edit removes is on no level at all: it has gone before.</summary>
    public bool LacksRemovedTables(VersionEdit edit) =>
        edit.RemovedTables.Exists(item => !Array.Exists(_levels, tables => tables.ContainsKey(item.Number)));

    /// <summary>
    /// True for the edit of a compaction that came after a range drop had removed what it worked on, as builds before decision 0130 wrote
    /// it before they looked: the last of its manifest and never in effect. The engine stopped over it, so what the edits before it add up
    /// to is what was served until then, and it has nothing of its own: no position, no drop, and no entry that its inputs do not have.
    /// </summary>
    public bool IsVoid(VersionEdit edit)
    {
        bool isCompaction = edit.RemovedTables.Count > 0
            && edit is { LogFloor: null, Positions.Count: 0, KeyspaceVersions.Count: 0, AddedDrops.Count: 0, ForgottenKeyspaces.Count: 0 };

        // What it removes is where it says or nowhere at all; what it adds is new, or moved from where it was removed.
        return isCompaction
            && LacksRemovedTables(edit)
            && edit.RemovedTables.TrueForAll(item =>
                _levels[item.Level].ContainsKey(item.Number) || !Array.Exists(_levels, tables => tables.ContainsKey(item.Number)))
            && edit.RemovedTables.TrueForAll(item => item.Number < NextFileNumber)
            && edit.AddedTables.TrueForAll(item =>
                !Array.Exists(_levels, tables => tables.ContainsKey(item.Table.Number))
                || edit.RemovedTables.Exists(removed => removed.Number == item.Table.Number));
    }

    /// <summary>One edit that says it all, with which a new manifest begins.</summary>
    public VersionEdit ToEdit()
    {
        var edit = new VersionEdit { NextFileNumber = NextFileNumber, Epoch = Epoch, HistoryFloor = HistoryFloor, LogFloor = LogFloor };
        for (int level = 0; level < _levels.Length; level++)
        {
            foreach (TableMeta table in _levels[level].Values)
            {
                edit.AddedTables.Add((level, table));
            }
        }

        edit.Positions.AddRange(Positions.Select(static pair => (pair.Key, pair.Value)));
        edit.KeyspaceVersions.AddRange(KeyspaceVersions.Select(static pair => (pair.Key, pair.Value)));
        edit.AddedDrops.AddRange(Drops.Values);
        return edit;
    }

    private string? FindOverlap(VersionEdit edit, HashSet<(int, ulong)> removed)
    {
        foreach (
            IGrouping<int, (int Level, TableMeta Table)> group in edit
                .AddedTables.Where(static item => item.Level > 0)
                .GroupBy(static item => item.Level))
        {
            TableMeta[] added =
            [
                .. group.Select(static item => item.Table).OrderBy(static table => table.Smallest, InternalKeyComparer.Instance),
            ];
            for (int i = 1; i < added.Length; i++)
            {
                if (added[i - 1].Overlaps(added[i]))
                {
                    return DescribeOverlap(added[i - 1], added[i], group.Key);
                }
            }

            foreach (TableMeta there in _levels[group.Key].Values.Where(table => !removed.Contains((group.Key, table.Number))))
            {
                // The first that ends at or after it is the only one that need be looked at.
                int at = Array.FindIndex(added, table => table.LargestPrefix.SequenceCompareTo(there.SmallestPrefix) >= 0);
                if (at >= 0 && added[at].Overlaps(there))
                {
                    return DescribeOverlap(there, added[at], group.Key);
                }
            }
        }

        return null;
    }

    private static string DescribeOverlap(TableMeta first, TableMeta second, int level) =>
        $"{EngineFiles.Table(first.Number)} and {EngineFiles.Table(second.Number)} overlap in L{level}";

    /// <summary>Says what is wrong with the levels: all below L0 must be sorted and disjoint by key.</summary>
    public string? FindDisorder()
    {
        for (int level = 1; level < _levels.Length; level++)
        {
            TableMeta? previous = null;
            foreach (TableMeta table in _levels[level].Values.OrderBy(static table => table.Smallest, InternalKeyComparer.Instance))
            {
                if (previous is not null && previous.LargestPrefix.SequenceCompareTo(table.SmallestPrefix) >= 0)
                {
                    return $"{EngineFiles.Table(previous.Number)} and {EngineFiles.Table(table.Number)} overlap in L{level}";
                }

                previous = table;
            }
        }

        return null;
    }
}
