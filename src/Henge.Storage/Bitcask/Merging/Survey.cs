using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Bitcask.State;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.MemTables;

namespace Henge.Storage.Bitcask.Merging;

/// <summary>
/// Walks over the index and adds up what is live in each segment. Reads nothing from the disk. About 100 ns for each entry; done again when
/// an eighth of the entries is new, or history has become old.
/// </summary>
internal sealed unsafe class Survey(BitcaskState state, BatchWriter writer)
{
    private const long ShortestStepMs = 10_000;
    private long _writtenAtLast = -1;
    private ulong _epochAtLast;
    private Core.Version _floorAtLast;
    private long _history;
    private byte[] _prefix = new byte[64];
    private int _prefixLength;
    private bool _isHidden;
    private (uint Segment, int Bytes) _undecided;

    /// <summary>True when enough has changed since the last one.</summary>
    public bool IsDue
    {
        get
        {
            IEnumerable<Segment> segments = state.ListedSegments.Where(static segment => segment.IsSealed);
            long entries = segments.Sum(static segment => segment.Keyspaces.Values.Sum(static share => share.Entries));
            long floorMs = state.DurableFloor.Milliseconds - _floorAtLast.Milliseconds;
            return _writtenAtLast < 0
                || state.AppliedEpoch != _epochAtLast
                || writer.EntriesWritten - _writtenAtLast > entries / 8
                || (_history > entries / 8 && floorMs >= ShortestStepMs);
        }
    }

    /// <summary>The keyspaces of which the index has entries in a segment: those that lose something when it is damaged.</summary>
    public List<uint> KeyspacesIn(Segment segment)
    {
        var found = new List<uint>();
        IndexView view = state.Acquire(out int stripe);
        try
        {
            foreach (uint keyspace in segment.Keyspaces.Keys)
            {
                using InternalIterator? index = view.Find(keyspace)?.CreateIterator();
                if (index is not null && HasEntryIn(index, segment.Id))
                {
                    found.Add(keyspace);
                }
            }
        }
        finally
        {
            view.Release(stripe);
        }

        return found;
    }

    private static bool HasEntryIn(InternalIterator index, uint segment)
    {
        for (index.SeekToFirst(); index.Valid; index.Next())
        {
            ReadOnlySpan<byte> locator = index.Value;
            fixed (byte* pointer = locator)
            {
                if (Locator.AddressOf(pointer, locator.Length).Segment == segment)
                {
                    return true;
                }
            }
        }

        return false;
    }

    public IEnumerable<BackgroundPoint> Run()
    {
        long written = writer.EntriesWritten;
        ulong epoch = state.AppliedEpoch;
        var limits = new HistoryLimits(state, writer);
        var live = state.ListedSegments.Where(static segment => segment.IsSealed).ToDictionary(static s => s.Id, static _ => 0L);
        long history = 0;
        IndexView view = state.Acquire(out int stripe);
        try
        {
            foreach ((uint keyspace, MemTable table) in view.Tables)
            {
                _prefixLength = 0;
                _undecided = default;
                using InternalIterator index = table.CreateIterator();
                index.SeekToFirst();
                while (index.Valid)
                {
                    state.ThrowIfUnusable();
                    history += Step(index, keyspace, limits, live);
                    yield return BackgroundPoint.Writing;
                }
            }
        }
        finally
        {
            view.Release(stripe);
        }

        foreach ((uint id, long bytes) in live)
        {
            if (state.FindSegment(id) is { } segment)
            {
                segment.LiveBytes = bytes;
            }
        }

        _writtenAtLast = written;
        _epochAtLast = epoch;
        _floorAtLast = limits.Floor;
        _history = history;
    }

    private long Step(InternalIterator index, uint keyspace, HistoryLimits limits, Dictionary<uint, long> live)
    {
        long history = 0;
        Core.Version limit = limits.LimitOf(keyspace);
        for (int i = 0; i < state.Options.StepEntries && index.Valid; i++, index.Next())
        {
            ReadOnlySpan<byte> key = index.Key;
            ReadOnlySpan<byte> prefix = InternalKey.GetPrefix(key);
            bool isOlder = prefix.SequenceEqual(_prefix.AsSpan(0, _prefixLength));
            if (!isOlder)
            {
                Remember(prefix);
            }

            EntryKind kind = InternalKey.GetKind(key);
            ReadOnlySpan<byte> value = index.Value;
            fixed (byte* locator = EntryHeader.IsIn(kind) ? value[EntryHeader.Bytes..] : value)
            {
                int locatorLength = value.Length - (EntryHeader.IsIn(kind) ? EntryHeader.Bytes : 0);
                EntryAddress address = Locator.AddressOf(locator, locatorLength);
                int bytes = Locator.LengthOf(locator);
                if (state.FindSegment(address.Segment) is not { LastView: long.MaxValue })
                {
                    continue;
                }

                if (_undecided.Bytes > 0)
                {
                    // An older entry is there, so what hides it has to stay.
                    Add(live, _undecided.Segment, _undecided.Bytes);
                    _undecided = default;
                }

                if (_isHidden)
                {
                    continue;
                }

                history += isOlder ? 1 : 0;
                bool isAtLimit = InternalKey.GetVersion(key) <= limit;
                long header = EntryHeader.IsIn(kind) ? System.Buffers.Binary.BinaryPrimitives.ReadInt64LittleEndian(value) : 0;
                _isHidden = isAtLimit && limits.CountsAlone(address);
                if (_isHidden && limits.IsNothing(keyspace, kind, header))
                {
                    _undecided = (address.Segment, bytes);
                    continue;
                }

                Add(live, address.Segment, bytes);
            }
        }

        return history;
    }

    private static void Add(Dictionary<uint, long> live, uint segment, int bytes)
    {
        if (live.TryGetValue(segment, out long sum))
        {
            live[segment] = sum + bytes;
        }
    }

    private void Remember(ReadOnlySpan<byte> prefix)
    {
        if (prefix.Length > _prefix.Length)
        {
            _prefix = new byte[prefix.Length * 2];
        }

        prefix.CopyTo(_prefix);
        _prefixLength = prefix.Length;
        _isHidden = false;
        _undecided = default;
    }
}
