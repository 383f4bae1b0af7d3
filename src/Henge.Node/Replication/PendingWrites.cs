using System.Buffers;
using Henge.Core;
using Henge.Node.Api;

namespace Henge.Node.Replication;

/// <summary>The operations behind one proposed entry, in the order of their commands.</summary>
internal struct PendingEntry
{
    /// <summary>Where the entry stands if it is committed.</summary>
    public LogIndex Index;

    /// <summary>The term it was proposed in: an entry with this index and another term means that this one never happened.</summary>
    public Term Term;

    /// <summary>The operations; null where one was given up. From the shared pool.</summary>
    public Operation?[] Operations;

    /// <summary>How many of <see cref="Operations"/> count.</summary>
    public int Count;

    /// <summary>The earliest deadline of them.</summary>
    public long EarliestDeadlineMs;
}

/// <summary>Proposed entries of one shard whose outcome is not known yet, by index. Belongs to the shard's worker.</summary>
internal sealed class PendingWrites
{
    private PendingEntry[] _ring = new PendingEntry[16];
    private int _head;

    /// <summary>How many entries wait.</summary>
    public int Count { get; private set; }

    /// <summary>The oldest.</summary>
    public ref PendingEntry Oldest => ref _ring[_head];

    /// <summary>One of them, 0 being the oldest.</summary>
    public ref PendingEntry this[int i] => ref _ring[(_head + i) & (_ring.Length - 1)];

    /// <summary>Adds the newest.</summary>
    public void Add(in PendingEntry entry)
    {
        Invariant.Check(Count == 0 || this[Count - 1].Index < entry.Index, "proposals come in the order of the log");
        if (Count == _ring.Length)
        {
            var bigger = new PendingEntry[_ring.Length * 2];
            for (int i = 0; i < Count; i++)
            {
                bigger[i] = this[i];
            }

            _ring = bigger;
            _head = 0;
        }

        _ring[(_head + Count) & (_ring.Length - 1)] = entry;
        Count++;
    }

    /// <summary>Drops the oldest, whose operations were all answered.</summary>
    public void RemoveOldest()
    {
        ref PendingEntry entry = ref _ring[_head];
        ArrayPool<Operation?>.Shared.Return(entry.Operations, clearArray: true);
        entry = default;
        _head = (_head + 1) & (_ring.Length - 1);
        Count--;
    }
}
