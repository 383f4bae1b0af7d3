using System.Runtime.Intrinsics.X86;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.MemTables;

/// <summary>A cursor over a memtable's list.</summary>
internal sealed unsafe class MemTableIterator : InternalIterator
{
    // One walk back looks this many levels up (so 2^4 entries on average), and later steps back take from what it passed.
    private const int BackLevel = 4;
    private const int BackCapacity = 64;
    private readonly MemTable _owner;
    private readonly SkipList _list;
    private SkipListNode* _node;
    private nint[]? _visited;
    private int _visitedFirst;
    private int _visitedCount;
    private bool _disposed;

    /// <summary>Takes over a reference to the memtable.</summary>
    public MemTableIterator(MemTable owner, SkipList list)
    {
        _owner = owner;
        _list = list;
    }

    /// <inheritdoc/>
    public override bool Valid => _node != null;

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> Key => SkipListNode.KeySpan(_node);

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> Value => new(SkipListNode.Value(_node), SkipListNode.ValueLength(_node));

    /// <inheritdoc/>
    public override void SeekToFirst() => MoveTo(_list.First);

    /// <inheritdoc/>
    public override void SeekToLast() => MoveTo(_list.FindLast());

    /// <inheritdoc/>
    public override void Seek(ReadOnlySpan<byte> internalKey)
    {
        fixed (byte* key = internalKey)
        {
            // The trailer's 9 bytes are the slack that comparisons need.
            MoveTo(_list.FindAtOrAfter(key, internalKey.Length - InternalKey.TrailerBytes));
        }
    }

    /// <inheritdoc/>
    public override void SeekForPrev(ReadOnlySpan<byte> internalKey)
    {
        fixed (byte* key = internalKey)
        {
            int prefixLength = internalKey.Length - InternalKey.TrailerBytes;
            SkipListNode* node = _list.FindBefore(key, prefixLength, 0);
            SkipListNode* next = SkipListNode.Next(node, 0);
            while (next != null && SkipListNode.Compare(next, key, prefixLength, out _) <= 0)
            {
                node = next;
                next = SkipListNode.Next(next, 0);
            }

            MoveTo(node == _list.Head ? null : node);
        }
    }

    /// <inheritdoc/>
    public override void Next()
    {
        SkipListNode* next = SkipListNode.Next(_node, 0);
        if (Sse.IsSupported && next != null)
        {
            // The node after it may come from memory while the caller looks at this one.
            Sse.Prefetch0((void*)SkipListNode.Next(next, 0));
        }

        MoveTo(next);
    }

    /// <inheritdoc/>
    public override void Prev()
    {
        if (_visitedCount == 0)
        {
            Gather();
        }

        if (_visitedCount == 0)
        {
            _node = null;
            return;
        }

        _visitedCount--;
        _node = (SkipListNode*)_visited![(_visitedFirst + _visitedCount) & (BackCapacity - 1)];
    }

    /// <summary>
    /// Links lead forwards only. So one search goes to a place some entries before this one and walks up to it, keeping the last nodes that
    /// it passes, for the steps back to come.
    /// </summary>
    private void Gather()
    {
        _visited ??= new nint[BackCapacity];
        _visitedFirst = 0;
        byte* key = SkipListNode.Key(_node);
        int prefixLength = SkipListNode.PrefixLength(_node);
        SkipListNode* node = _list.FindBefore(key, prefixLength, BackLevel);
        while (true)
        {
            if (node != _list.Head)
            {
                _visited[(_visitedFirst + _visitedCount) & (BackCapacity - 1)] = (nint)node;
                if (_visitedCount < BackCapacity)
                {
                    _visitedCount++;
                }
                else
                {
                    _visitedFirst++;
                }
            }

            node = SkipListNode.Next(node, 0);
            if (node == _node)
            {
                return;
            }
        }
    }

    private void MoveTo(SkipListNode* node)
    {
        _node = node;
        _visitedCount = 0;
    }

    /// <inheritdoc/>
    public override IPinOwner Pin(out nint token)
    {
        _owner.Retain();
        token = 0;
        return _owner;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (!_disposed)
        {
            _disposed = true;
            _node = null;
            _owner.Release();
        }
    }
}
