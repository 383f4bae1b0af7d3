namespace Henge.Storage.Lsm.Buffers;

/// <summary>
/// The newest version of each keyspace whose batch is whole. Iterators and snapshots read at it, and so see whole batches only, and do not
/// see what comes later. Thread-safe; lookups take no lock.
/// </summary>
internal sealed class KeyspaceClocks
{
    private readonly Lock _lock = new();
    private readonly Lock _batchLock = new();
    private Dictionary<uint, Clock> _clocks = [];

    public Clock Get(uint keyspace)
    {
        return Volatile.Read(ref _clocks).TryGetValue(keyspace, out Clock? clock) ? clock : Add(keyspace);
    }

    public Core.Version Read(uint keyspace) =>
        Volatile.Read(ref _clocks).TryGetValue(keyspace, out Clock? clock) ? clock.Version : Core.Version.Zero;

    public IEnumerable<(uint Keyspace, Core.Version Version)> All() =>
        Volatile.Read(ref _clocks).Select(static pair => (pair.Key, pair.Value.Version));

    public void Reset(uint keyspace)
    {
        lock (_lock)
        {
            _clocks = _clocks.Where(pair => pair.Key != keyspace).ToDictionary();
        }
    }

    /// <summary>Makes a batch over several keyspaces visible to snapshots in one instant.</summary>
    public void RaiseBatch(List<(uint Keyspace, Clock Clock, Core.Version Version)> raises)
    {
        lock (_batchLock)
        {
            foreach ((_, Clock clock, Core.Version version) in raises)
            {
                clock.Raise(version);
            }
        }
    }

    /// <summary>The versions of this moment; clocks of the result stand still.</summary>
    public KeyspaceClocks Copy()
    {
        var copy = new KeyspaceClocks();
        lock (_batchLock)
        {
            copy._clocks = Volatile.Read(ref _clocks).ToDictionary(static pair => pair.Key, static pair => pair.Value.Copy());
        }

        return copy;
    }

    private Clock Add(uint keyspace)
    {
        lock (_lock)
        {
            if (!_clocks.TryGetValue(keyspace, out Clock? clock))
            {
                clock = new Clock();
                Volatile.Write(ref _clocks, new Dictionary<uint, Clock>(_clocks) { [keyspace] = clock });
            }

            return clock;
        }
    }

    internal sealed class Clock
    {
        private ulong _version;

        public Core.Version Version => new(Volatile.Read(ref _version));

        public Clock Copy() => new() { _version = Version.Value };

        public void Raise(Core.Version version)
        {
            ulong seen = Volatile.Read(ref _version);
            while (seen < version.Value)
            {
                ulong found = Interlocked.CompareExchange(ref _version, version.Value, seen);
                if (found == seen)
                {
                    return;
                }

                seen = found;
            }
        }
    }
}
