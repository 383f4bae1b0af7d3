namespace Henge.Storage.Lsm.Buffers;

/// <summary>Gathers the newest version of each keyspace in a batch, to raise the clocks once all of it is in the memtable.</summary>
internal struct BatchRaises
{
    [ThreadStatic]
    private static List<(uint Keyspace, KeyspaceClocks.Clock Clock, Core.Version Version)>? _cachedList;

    private List<(uint Keyspace, KeyspaceClocks.Clock Clock, Core.Version Version)>? _previous;
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
                if (_previous is null)
                {
                    _previous = _cachedList ??= [];
                    _previous.Clear();
                }

                _previous.Add((_keyspace, _clock, _highest));
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

    /// <summary>
    /// Makes the batch visible to iterators and snapshots, and has its buffer, if there is one, remember what a flush will make durable of
    /// each clock.
    /// </summary>
    public readonly void Raise(KeyspaceClocks clocks, WriteBuffer? buffer)
    {
        if (_previous is not null)
        {
            _previous.Add((_keyspace, _clock!, _highest));
            foreach ((uint keyspace, _, Core.Version version) in _previous)
            {
                buffer?.RaiseVersion(keyspace, version);
            }

            clocks.RaiseBatch(_previous);
        }
        else if (_clock is not null)
        {
            buffer?.RaiseVersion(_keyspace, _highest);
            _clock.Raise(_highest);
        }
    }
}
