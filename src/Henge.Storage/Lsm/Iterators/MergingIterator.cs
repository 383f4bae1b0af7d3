using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.Iterators;

/// <summary>
/// The entries of several iterators in one order, both ways: a binary heap of the children, smallest key on top (largest when it goes
/// backwards). Children are ordered newest first, which decides between equal keys. Owns its children.
/// </summary>
/// <remarks>
/// A step moves the top child and compares it with the better of the heap's second row: while one child holds a run of keys, that is one
/// comparison a step, or two.
/// </remarks>
internal sealed class MergingIterator : InternalIterator
{
    private readonly InternalIterator[] _children;
    private readonly int[] _heap;
    private int _count;
    private bool _reverse;
    private InternalIterator? _top;

    public MergingIterator(InternalIterator[] children)
    {
        _children = children;
        _heap = new int[children.Length];
    }

    /// <summary>The merge of some iterators: the only one itself when there is no second.</summary>
    public static InternalIterator Create(List<InternalIterator> children) =>
        children.Count == 1 ? children[0] : new MergingIterator([.. children]);

    public override bool Valid => _top is not null;

    public override ReadOnlySpan<byte> Key => _top!.Key;

    public override ReadOnlySpan<byte> Value => _top!.Value;

    public override IPinOwner Pin(out nint token) => _top!.Pin(out token);

    public override void SeekToFirst()
    {
        foreach (InternalIterator child in _children)
        {
            child.SeekToFirst();
        }

        Build(reverse: false);
    }

    public override void SeekToLast()
    {
        foreach (InternalIterator child in _children)
        {
            child.SeekToLast();
        }

        Build(reverse: true);
    }

    public override void Seek(ReadOnlySpan<byte> internalKey)
    {
        foreach (InternalIterator child in _children)
        {
            child.Seek(internalKey);
        }

        Build(reverse: false);
    }

    public override void SeekForPrev(ReadOnlySpan<byte> internalKey)
    {
        foreach (InternalIterator child in _children)
        {
            child.SeekForPrev(internalKey);
        }

        Build(reverse: true);
    }

    public override void Next()
    {
        if (_reverse)
        {
            ChangeDirection(reverse: false);
        }

        _top!.Next();
        UpdateCurrent();
    }

    public override void Prev()
    {
        if (!_reverse)
        {
            ChangeDirection(reverse: true);
        }

        _top!.Prev();
        UpdateCurrent();
    }

    protected override void Dispose(bool disposing)
    {
        foreach (InternalIterator child in _children)
        {
            child.Dispose();
        }

        _top = null;
        _count = 0;
    }

    // Puts all other children beyond the current entry on its other side. The current child does not move, so its key stays valid.
    private void ChangeDirection(bool reverse)
    {
        InternalIterator current = _top!;
        int currentIndex = _heap[0];
        ReadOnlySpan<byte> key = current.Key;
        for (int i = 0; i < _children.Length; i++)
        {
            InternalIterator child = _children[i];
            if (ReferenceEquals(child, current))
            {
                continue;
            }

            if (reverse)
            {
                child.SeekForPrev(key);
                if (child.Valid && i > currentIndex && child.Key.SequenceEqual(key))
                {
                    // An equal entry of an older child comes after the current one.
                    child.Prev();
                }
            }
            else
            {
                child.Seek(key);
                if (child.Valid && i < currentIndex && child.Key.SequenceEqual(key))
                {
                    child.Next();
                }
            }
        }

        Build(reverse);
        if (!ReferenceEquals(_top, current))
        {
            throw new InvalidOperationException("A merge lost its place when it turned around.");
        }
    }

    private void Build(bool reverse)
    {
        _reverse = reverse;
        _count = 0;
        for (int i = 0; i < _children.Length; i++)
        {
            if (_children[i].Valid)
            {
                _heap[_count++] = i;
            }
        }

        for (int i = _count / 2 - 1; i >= 0; i--)
        {
            SiftDown(i);
        }

        _top = _count > 0 ? _children[_heap[0]] : null;
    }

    // Restores the heap after the top child has moved.
    private void UpdateCurrent()
    {
        if (!_top!.Valid)
        {
            _heap[0] = _heap[--_count];
            if (_count == 0)
            {
                _top = null;
                return;
            }
        }

        if (_count > 1)
        {
            SiftDown(0);
        }

        _top = _children[_heap[0]];
    }

    private void SiftDown(int at)
    {
        int[] heap = _heap;
        int moving = heap[at];
        while (true)
        {
            int child = 2 * at + 1;
            if (child >= _count)
            {
                break;
            }

            if (child + 1 < _count && Before(heap[child + 1], heap[child]))
            {
                child++;
            }

            if (!Before(heap[child], moving))
            {
                break;
            }

            heap[at] = heap[child];
            at = child;
        }

        heap[at] = moving;
    }

    private bool Before(int a, int b)
    {
        int order = InternalKey.Compare(_children[a].Key, _children[b].Key);
        if (order == 0)
        {
            order = a - b;
        }

        return _reverse ? order > 0 : order < 0;
    }
}
