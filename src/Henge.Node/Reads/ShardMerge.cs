using Henge.Storage;

namespace Henge.Node.Reads;

/// <summary>
/// Merges iterators over disjoint keys into one order, by a binary heap: one comparison chain of log2(shards) a step. Owns the iterators.
/// Not thread-safe.
/// </summary>
internal sealed class ShardMerge(bool reverse, int capacity) : IDisposable
{
    private readonly List<EngineIterator> _all = new(capacity);
    private readonly List<EngineIterator> _heap = new(capacity);

    /// <summary>The iterator that stands on the next entry; null at the end.</summary>
    public EngineIterator? Current => _heap.Count > 0 ? _heap[0] : null;

    /// <summary>Which of those that were added <see cref="Current"/> is, counted from 0.</summary>
    public int IndexOfCurrent => Current is { } current ? _all.IndexOf(current) : -1;

    /// <summary>Adds an iterator, which it moves to its first entry.</summary>
    public void Add(EngineIterator iterator)
    {
        _all.Add(iterator);
        if (reverse)
        {
            iterator.SeekToLast();
        }
        else
        {
            iterator.SeekToFirst();
        }

        if (iterator.Valid)
        {
            _heap.Add(iterator);
            SiftUp(_heap.Count - 1);
        }
    }

    /// <summary>Moves to the next entry.</summary>
    public void MoveNext()
    {
        EngineIterator top = _heap[0];
        if (reverse)
        {
            top.Prev();
        }
        else
        {
            top.Next();
        }

        if (!top.Valid)
        {
            _heap[0] = _heap[^1];
            _heap.RemoveAt(_heap.Count - 1);
        }

        if (_heap.Count > 1)
        {
            SiftDown();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (EngineIterator iterator in _all)
        {
            iterator.Dispose();
        }

        _all.Clear();
        _heap.Clear();
    }

    private bool IsBefore(int a, int b)
    {
        int order = _heap[a].Key.SequenceCompareTo(_heap[b].Key);
        return reverse ? order > 0 : order < 0;
    }

    private void SiftUp(int at)
    {
        while (at > 0 && IsBefore(at, (at - 1) / 2))
        {
            (_heap[at], _heap[(at - 1) / 2]) = (_heap[(at - 1) / 2], _heap[at]);
            at = (at - 1) / 2;
        }
    }

    private void SiftDown()
    {
        for (int at = 0; ;)
        {
            int least = at;
            for (int child = (2 * at) + 1; child <= (2 * at) + 2 && child < _heap.Count; child++)
            {
                least = IsBefore(child, least) ? child : least;
            }

            if (least == at)
            {
                return;
            }

            (_heap[at], _heap[least]) = (_heap[least], _heap[at]);
            at = least;
        }
    }
}
