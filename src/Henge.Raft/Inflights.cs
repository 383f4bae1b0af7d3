using Henge.Core;

namespace Henge.Raft;

/// <summary>
/// The appends on their way to one peer: a window bounded in messages and bytes. One message always fits an empty window.
/// </summary>
internal sealed class Inflights(int limitMessages, long limitBytes)
{
    private (LogIndex Last, long Bytes)[] _ring = new (LogIndex, long)[Math.Min(8, limitMessages)];
    private int _head;

    public int Count { get; private set; }

    public long Bytes { get; private set; }

    public bool IsFull => Count >= limitMessages || (Count > 0 && Bytes >= limitBytes);

    public void Add(LogIndex last, long bytes)
    {
        Invariant.Check(!IsFull, "the window is full");
        if (Count == _ring.Length)
        {
            var larger = new (LogIndex, long)[Math.Min(_ring.Length * 2, limitMessages)];
            for (int i = 0; i < Count; i++)
            {
                larger[i] = _ring[(_head + i) % _ring.Length];
            }

            _ring = larger;
            _head = 0;
        }

        _ring[(_head + Count) % _ring.Length] = (last, bytes);
        Count++;
        Bytes += bytes;
    }

    /// <summary>Everything up to an index has arrived.</summary>
    public void FreeThrough(LogIndex index)
    {
        while (Count > 0 && _ring[_head].Last <= index)
        {
            Bytes -= _ring[_head].Bytes;
            _head = (_head + 1) % _ring.Length;
            Count--;
        }
    }

    public void Clear()
    {
        _head = 0;
        Count = 0;
        Bytes = 0;
    }
}
