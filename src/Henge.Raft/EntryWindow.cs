using Henge.Core;

namespace Henge.Raft;

/// <summary>
/// The newest entries of a log, in memory, in a ring: appended at the end, truncated from the end, evicted from the front.
/// </summary>
internal sealed class EntryWindow(LogIndex first)
{
    private Entry[] _ring = new Entry[16];
    private int _head;

    /// <summary>The index of the first entry, or of the next one to come when there are none.</summary>
    public LogIndex First { get; private set; } = first;

    public int Count { get; private set; }

    /// <summary>Sum of <see cref="Entry.SizeBytes"/>.</summary>
    public long Bytes { get; private set; }

    public LogIndex End => new(First.Value + (ulong)Count);

    public ref readonly Entry this[LogIndex index] => ref _ring[Slot((int)(index.Value - First.Value))];

    public void Append(in Entry entry)
    {
        Invariant.Check(entry.Index == End, "a gap in the log");
        if (Count == _ring.Length)
        {
            Grow();
        }

        _ring[Slot(Count)] = entry;
        Count++;
        Bytes += entry.SizeBytes;
    }

    public void TruncateFrom(LogIndex index)
    {
        while (Count > 0 && End > index)
        {
            ref Entry last = ref _ring[Slot(Count - 1)];
            Bytes -= last.SizeBytes;
            last = default;
            Count--;
        }

        if (Count == 0 && index < First)
        {
            First = index;
        }
    }

    public void EvictThrough(LogIndex index)
    {
        while (Count > 0 && First <= index)
        {
            ref Entry oldest = ref _ring[_head];
            Bytes -= oldest.SizeBytes;
            oldest = default;
            _head = (_head + 1) & (_ring.Length - 1);
            First = First.Next;
            Count--;
        }
    }

    public void Reset(LogIndex first)
    {
        Array.Clear(_ring);
        _head = 0;
        Count = 0;
        Bytes = 0;
        First = first;
    }

    /// <summary>How many entries from an index on fit a limit: at least one.</summary>
    public int CountWithin(LogIndex from, LogIndex last, long limitBytes, int limitCount)
    {
        int count = 0;
        long bytes = 0;
        for (LogIndex at = from; at <= last && count < limitCount; at = at.Next)
        {
            bytes += this[at].SizeBytes;
            if (count > 0 && bytes > limitBytes)
            {
                break;
            }

            count++;
        }

        return count;
    }

    private int Slot(int offset) => (_head + offset) & (_ring.Length - 1);

    private void Grow()
    {
        Entry[] larger = new Entry[_ring.Length * 2];
        for (int i = 0; i < Count; i++)
        {
            larger[i] = _ring[Slot(i)];
        }

        _ring = larger;
        _head = 0;
    }
}
