namespace Henge.Storage.Lsm;

/// <summary>All that the edits of a manifest add up to. Not thread-safe.</summary>
internal sealed class ManifestState
{
    private readonly SortedDictionary<ulong, TableMeta>[] _levels = new SortedDictionary<ulong, TableMeta>[LevelSet.LevelCount];

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

    /// <summary>Takes an edit in; says what is wrong with it, and changes nothing more, when it does not fit.</summary>
    public string? TryApply(VersionEdit edit)
    {
        NextFileNumber = edit.NextFileNumber ?? NextFileNumber;
        Epoch = edit.Epoch ?? Epoch;
        HistoryFloor = edit.HistoryFloor is { } floor && floor > HistoryFloor ? floor : HistoryFloor;
        LogFloor = edit.LogFloor ?? LogFloor;
        foreach ((int level, ulong number) in edit.RemovedTables)
        {
            if (!_levels[level].Remove(number))
            {
                return $"it removes {EngineFiles.Table(number)} from L{level}, which does not hold it";
            }
        }

        foreach ((int level, TableMeta table) in edit.AddedTables)
        {
            if (!_levels[level].TryAdd(table.Number, table))
            {
                return $"it adds {EngineFiles.Table(table.Number)} to L{level} twice";
            }
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

/// <summary>Orders arrays that hold internal keys.</summary>
internal sealed class InternalKeyComparer : IComparer<byte[]>
{
    public static InternalKeyComparer Instance { get; } = new();

    public int Compare(byte[]? x, byte[]? y) => InternalKey.Compare(x, y);
}
