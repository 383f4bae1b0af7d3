namespace Henge.Storage.Lsm;

/// <summary>Gathers the newest version of each keyspace in a batch, to raise the clocks once all of it is in the memtable.</summary>
internal struct BatchRaises
{
    [ThreadStatic]
    private static List<(KeyspaceClocks.Clock Clock, Core.Version Version)>? _spare;

    private List<(KeyspaceClocks.Clock Clock, Core.Version Version)>? _earlier;
    private KeyspaceClocks.Clock? _clock;
    private uint _keyspace;
    private Core.Version _highest;

    /// <summary>Notes an entry.</summary>
    public void See(KeyspaceClocks clocks, uint keyspace, Core.Version version)
    {
        if (_clock is null || keyspace != _keyspace)
        {
            if (_clock is not null)
            {
                if (_earlier is null)
                {
                    _earlier = _spare ??= [];
                    _earlier.Clear();
                }

                _earlier.Add((_clock, _highest));
            }

            _keyspace = keyspace;
            _clock = clocks.Get(keyspace);
            _highest = version;
        }
        else if (version > _highest)
        {
            _highest = version;
        }
    }

    /// <summary>Makes the batch visible to iterators and snapshots.</summary>
    public readonly void Raise(KeyspaceClocks clocks)
    {
        if (_earlier is not null)
        {
            _earlier.Add((_clock!, _highest));
            clocks.RaiseTogether(_earlier);
        }
        else
        {
            _clock?.Raise(_highest);
        }
    }
}
