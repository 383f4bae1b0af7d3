using Henge.Core;
using Henge.Storage;

namespace Henge.Storage.Tests;

/// <summary>What an engine must answer: an ordered dictionary of versions, slow and plain.</summary>
internal sealed class EngineModel
{
    private readonly SortedDictionary<(uint Keyspace, byte[] Key), SortedDictionary<ulong, Entry>> _entries;

    public EngineModel() => _entries = new(KeyComparer.Instance);

    private EngineModel(EngineModel other)
        : this()
    {
        foreach (((uint, byte[]) key, SortedDictionary<ulong, Entry> versions) in other._entries)
        {
            _entries.Add(key, new SortedDictionary<ulong, Entry>(versions, NewestFirst.Instance));
        }
    }

    public EngineModel Clone() => new(this);

    public void Apply(ReadOnlySpan<byte> encoded)
    {
        var reader = new WriteBatchReader(encoded);
        while (reader.MoveNext())
        {
            if (!reader.IsPosition)
            {
                (uint, byte[]) key = (reader.Keyspace, reader.Key.ToArray());
                if (!_entries.TryGetValue(key, out SortedDictionary<ulong, Entry>? versions))
                {
                    _entries.Add(key, versions = new SortedDictionary<ulong, Entry>(NewestFirst.Instance));
                }

                versions[reader.Version.Value] = new Entry(reader.Kind, reader.Value.ToArray(), reader.ExpiresAtMs);
            }
        }

        Assert.False(reader.Damaged);
    }

    public void DropRange(uint keyspace, byte[] lower, byte[] upper)
    {
        foreach ((uint, byte[]) key in Keys(keyspace, lower, upper).ToList())
        {
            _entries.Remove(key);
        }
    }

    public (Core.Version Version, byte[] Value, long ExpiresAtMs)? Get(uint keyspace, byte[] key, ReadPoint point)
    {
        if (!_entries.TryGetValue((keyspace, key), out SortedDictionary<ulong, Entry>? versions))
        {
            return null;
        }

        foreach ((ulong version, Entry entry) in versions)
        {
            if (version <= point.At.Value)
            {
                return entry.Kind == EntryKind.Delete || (entry.ExpiresAtMs != 0 && entry.ExpiresAtMs <= point.NowMs)
                    ? null : (new Core.Version(version), entry.Value, entry.ExpiresAtMs);
            }
        }

        return null;
    }

    public List<string> Scan(uint keyspace, byte[] lower, byte[] upper, ReadPoint point)
    {
        var found = new List<string>();
        foreach ((uint _, byte[] key) in Keys(keyspace, lower, upper))
        {
            if (Get(keyspace, key, point) is { } entry)
            {
                EntryKind kind = entry.ExpiresAtMs == 0 ? EntryKind.Put : EntryKind.PutExpiring;
                found.Add(Show(key, entry.Version, kind, entry.Value, entry.ExpiresAtMs));
            }
        }

        return found;
    }

    /// <summary>All entries of a range at or below a point and not older than <paramref name="from"/>.</summary>
    public List<string> History(uint keyspace, byte[] lower, byte[] upper, Core.Version at, Core.Version from)
    {
        var found = new List<string>();
        foreach ((uint, byte[] Key) key in Keys(keyspace, lower, upper))
        {
            foreach ((ulong version, Entry entry) in _entries[key])
            {
                if (version <= at.Value && version >= from.Value)
                {
                    found.Add(Show(key.Key, new Core.Version(version), entry.Kind, entry.Value, entry.ExpiresAtMs));
                }
            }
        }

        return found;
    }

    public static string Show(ReadOnlySpan<byte> key, Core.Version version, EntryKind kind, ReadOnlySpan<byte> value, long expiresAtMs) =>
        $"{Convert.ToHexString(key)}@{version} {kind} {Convert.ToHexString(value)} {expiresAtMs}";

    private IEnumerable<(uint Keyspace, byte[] Key)> Keys(uint keyspace, byte[] lower, byte[] upper) => _entries.Keys
        .Where(key => key.Keyspace == keyspace && key.Key.AsSpan().SequenceCompareTo(lower) >= 0
            && (upper.Length == 0 || key.Key.AsSpan().SequenceCompareTo(upper) < 0));

    private sealed record Entry(EntryKind Kind, byte[] Value, long ExpiresAtMs);

    private sealed class NewestFirst : IComparer<ulong>
    {
        public static NewestFirst Instance { get; } = new();

        public int Compare(ulong x, ulong y) => y.CompareTo(x);
    }

    private sealed class KeyComparer : IComparer<(uint Keyspace, byte[] Key)>
    {
        public static KeyComparer Instance { get; } = new();

        public int Compare((uint Keyspace, byte[] Key) x, (uint Keyspace, byte[] Key) y) =>
            x.Keyspace != y.Keyspace ? x.Keyspace.CompareTo(y.Keyspace) : x.Key.AsSpan().SequenceCompareTo(y.Key);
    }
}
