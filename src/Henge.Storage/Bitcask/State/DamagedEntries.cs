using System.Buffers.Binary;
using Henge.Core;
using Henge.Storage.Bitcask.Segments;

namespace Henge.Storage.Bitcask.State;

/// <summary>A place that could not be read. An empty prefix: any entry of the keyspace in that segment.</summary>
internal sealed record DamagedEntry(Segment Segment, uint Keyspace, byte[] Prefix, HengeException Error);

/// <summary>
/// Entries that were found damaged, by whoever met them: reads, merges, or the opening of the engine. Kept until the owner asks.
/// Thread-safe.
/// </summary>
internal sealed class DamagedEntries
{
    // More than that at once is a disk that is lost; what is read again is found again.
    private const int MaxEntries = 1_000;
    private readonly Lock _lock = new();
    private readonly Dictionary<(uint Segment, uint Keyspace), DamagedEntry> _entries = [];
    private int _count;

    /// <summary>An entry of a prefix (keyspace and key) cannot be read.</summary>
    public void Add(Segment segment, ReadOnlySpan<byte> prefix, HengeException error) =>
        Add(new DamagedEntry(segment, BinaryPrimitives.ReadUInt32BigEndian(prefix), prefix.ToArray(), error));

    /// <summary>Something of a segment cannot be read, and it may be of any of some keyspaces.</summary>
    public void AddAll(Segment segment, IEnumerable<uint> keyspaces, HengeException error)
    {
        foreach (uint keyspace in keyspaces)
        {
            Add(new DamagedEntry(segment, keyspace, [], error));
        }
    }

    /// <summary>What was found since the last call.</summary>
    public DamagedEntry[] Take()
    {
        if (Volatile.Read(ref _count) == 0)
        {
            return [];
        }

        lock (_lock)
        {
            DamagedEntry[] entries = [.. _entries.Values];
            _entries.Clear();
            Volatile.Write(ref _count, 0);
            return entries;
        }
    }

    private void Add(DamagedEntry entry)
    {
        lock (_lock)
        {
            if (_entries.Count < MaxEntries)
            {
                _entries[(entry.Segment.Id, entry.Keyspace)] = entry;
                Volatile.Write(ref _count, _entries.Count);
            }
        }
    }
}
