using Henge.Core;

namespace Henge.Node.StateMachine;

/// <summary>One result that a session remembers.</summary>
internal struct SessionRecord
{
    public ulong Sequence;
    public CommandResult Result;
    public byte[]? Payload;
    public bool PayloadLost;

    /// <summary>Which of the session's chunks in the engine holds it; <see cref="Session.Unwritten"/> until the batch is committed.</summary>
    public ushort Slot;
}

/// <summary>
/// What is known of one client on one shard: the results of its latest requests, by sequence number, in a ring that grows to the window. Sequence numbers may come out of
/// order and with gaps (a client numbers the requests to all shards with one counter). Not thread-safe.
/// </summary>
internal sealed class Session(ulong clientId)
{
    public const ushort Unwritten = ushort.MaxValue;

    private SessionRecord[] _records = new SessionRecord[4];
    private int _first;

    // How many records each chunk still has; a chunk without any is free to be written again.
    private readonly List<ushort> _liveInSlot = [];

    public ulong ClientId { get; } = clientId;

    /// <summary>When it was last used.</summary>
    public Core.Version LastVersion { get; set; }

    /// <summary>The highest sequence number that was given up: at and below it, what is not kept is not known.</summary>
    public ulong Forgotten { get; set; }

    public int Count { get; private set; }

    public int PayloadBytes { get; set; }

    /// <summary>True when something about it is not in the engine yet.</summary>
    public bool IsDirty { get; set; }

    /// <summary>Records that are not in the engine yet.</summary>
    public int UnwrittenCount { get; set; }

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

    /// <summary>Gives up the lowest sequence number.</summary>
    public void EvictLowest()
    {
        ref SessionRecord record = ref this[0];
        Forgotten = Math.Max(Forgotten, record.Sequence);
        PayloadBytes -= record.Payload?.Length ?? 0;
        if (record.Slot == Unwritten)
        {
            UnwrittenCount--;
        }
        else
        {
            _liveInSlot[record.Slot]--;
        }

        record = default;
        _first = (_first + 1) & (_records.Length - 1);
        Count--;
    }

    /// <summary>Slots that were ever used.</summary>
    public int SlotCount => _liveInSlot.Count;

    /// <summary>A slot whose chunk may be overwritten, or a new one, now with so many records.</summary>
    public ushort TakeSlot(int records)
    {
        int slot = _liveInSlot.IndexOf(0);
        if (slot < 0)
        {
            slot = _liveInSlot.Count;
            _liveInSlot.Add(0);
        }

        _liveInSlot[slot] = checked((ushort)records);
        return checked((ushort)slot);
    }

    /// <summary>After loading: a chunk that is there, with so many records that still count.</summary>
    public void RestoreSlot(ushort slot, int records)
    {
        while (_liveInSlot.Count <= slot)
        {
            _liveInSlot.Add(0);
        }

        _liveInSlot[slot] = checked((ushort)records);
    }
}
