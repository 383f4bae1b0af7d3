using Henge.Core;

namespace Henge.Node.StateMachine;

/// <summary>One result that a session remembers.</summary>
internal struct SessionRecord
{
    public ulong Sequence;
    public CommandResult Result;
    public byte[]? Payload;
    public bool PayloadLost;
    public ushort Slot;
}

/// <summary>
/// What is known of one client on one shard: the results of its latest requests, by sequence number, in a ring that grows to the window. Sequence numbers may come out of
/// order and with gaps (a client numbers the requests to all shards with one counter). Not thread-safe.
/// </summary>
internal sealed class Session(ulong clientId)
{
    private SessionRecord[] _records = new SessionRecord[4];
    private int _first;
    private Stack<ushort>? _freeSlots;
    private int _slots;

    public ulong ClientId { get; } = clientId;

    /// <summary>When it was last used.</summary>
    public Core.Version LastVersion { get; set; }

    /// <summary>The highest sequence number that was given up: at and below it, what is not kept is not known.</summary>
    public ulong Forgotten { get; set; }

    public int Count { get; private set; }

    public int PayloadBytes { get; set; }

    public Session? Older { get; set; }

    public Session? Newer { get; set; }

    public ref SessionRecord this[int index] => ref _records[(_first + index) & (_records.Length - 1)];

    /// <summary>Index of a sequence number, or the complement of where it belongs.</summary>
    public int Find(ulong sequence)
    {
        // The newest is by far the most usual place.
        if (Count == 0 || this[Count - 1].Sequence < sequence)
        {
            return ~Count;
        }

        int low = 0, high = Count - 1;
        while (low <= high)
        {
            int middle = (low + high) / 2;
            ulong there = this[middle].Sequence;
            if (there == sequence)
            {
                return middle;
            }

            (low, high) = there < sequence ? (middle + 1, high) : (low, middle - 1);
        }

        return ~low;
    }

    public void Insert(int index, in SessionRecord record)
    {
        if (Count == _records.Length)
        {
            var larger = new SessionRecord[_records.Length * 2];
            for (int i = 0; i < Count; i++)
            {
                larger[i] = this[i];
            }

            _records = larger;
            _first = 0;
        }

        Count++;
        for (int i = Count - 1; i > index; i--)
        {
            this[i] = this[i - 1];
        }

        this[index] = record;
        PayloadBytes += record.Payload?.Length ?? 0;
    }

    /// <summary>Gives up the lowest sequence number and returns what it was.</summary>
    public SessionRecord EvictLowest()
    {
        SessionRecord record = this[0];
        this[0] = default;
        _first = (_first + 1) & (_records.Length - 1);
        Count--;
        PayloadBytes -= record.Payload?.Length ?? 0;
        Forgotten = record.Sequence;
        return record;
    }

    public ushort TakeSlot() => _freeSlots is { Count: > 0 } ? _freeSlots.Pop() : checked((ushort)_slots++);

    public void FreeSlot(ushort slot) => (_freeSlots ??= new Stack<ushort>()).Push(slot);

    /// <summary>After loading: which slots are free follows from those in use.</summary>
    public void RestoreSlots()
    {
        var used = new SortedSet<ushort>();
        for (int i = 0; i < Count; i++)
        {
            used.Add(this[i].Slot);
        }

        _slots = used.Count == 0 ? 0 : used.Max + 1;
        for (int slot = _slots - 1; slot >= 0; slot--)
        {
            if (!used.Contains((ushort)slot))
            {
                FreeSlot((ushort)slot);
            }
        }
    }
}
