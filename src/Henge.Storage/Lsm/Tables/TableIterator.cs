using Henge.Core;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.Tables;

/// <summary>
/// A cursor over a table. Blocks come from the cache, or else from the file: one at a time, and when they are read one after another
/// (either way) in ever larger pieces, into a buffer of the iterator's own.
/// </summary>
internal sealed unsafe class TableIterator : InternalIterator
{
    private const int FirstReadaheadBytes = 16 * 1024;
    private const int DefaultReadaheadBytes = 256 * 1024;

    // Two neighbours may be chance; the third makes a scan.
    private const int SequentialMissesBeforeReadahead = 2;
    private readonly TableReader _reader;
    private readonly TableIndex _index;
    private readonly BlockCursor _cursor = new();
    private readonly bool _fillCache;
    private readonly ulong _from;
    private readonly byte[] _upper;
    private readonly HiddenBlocks? _hidden;
    private readonly int _maxReadahead;
    private readonly bool _sequential;
    private PinnedBlock _pinned;
    private bool _inPlace;
    private int _block = -1;
    private int _lastMissedBlock = -1;
    private int _sequentialMisses;
    private int _readahead;
    private byte* _buffer;
    private int _bufferCapacity;
    private long _bufferOffset;
    private int _bufferLength;
    private bool _disposed;

    /// <summary>Takes over a reference to the table.</summary>
    public TableIterator(TableReader reader, in TableReadOptions options)
    {
        _reader = reader;
        _index = reader.Index;
        _fillCache = options.FillCache;
        _from = options.From.Value;
        _upper = options.Upper ?? [];
        _hidden = options.Hidden;
        _maxReadahead = options.ReadaheadBytes > 0 ? options.ReadaheadBytes : DefaultReadaheadBytes;
        _sequential = options.Sequential;
        _readahead = _sequential ? _maxReadahead : Math.Min(FirstReadaheadBytes, _maxReadahead);
    }

    /// <inheritdoc/>
    public override bool Valid => _cursor.Valid;

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> Key => _cursor.Key;

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> Value => _cursor.Value;

    /// <inheritdoc/>
    public override void SeekToFirst()
    {
        if (OpenForward(0))
        {
            _cursor.SeekToFirst();
        }
    }

    /// <inheritdoc/>
    public override void SeekToLast()
    {
        if (OpenBackward(_index.Count - 1))
        {
            _cursor.SeekToLast();
        }
    }

    /// <inheritdoc/>
    public override void Seek(ReadOnlySpan<byte> internalKey)
    {
        int block = _reader.FindBlock(internalKey);
        if (!OpenForward(block))
        {
            return;
        }

        if (_block != block)
        {
            _cursor.SeekToFirst();
            return;
        }

        SeekInBlock(internalKey);
        if (!_cursor.Valid && OpenForward(block + 1))
        {
            _cursor.SeekToFirst();
        }
    }

    /// <inheritdoc/>
    public override void SeekForPrev(ReadOnlySpan<byte> internalKey)
    {
        int block = _reader.FindBlock(internalKey);
        if (!OpenBackward(block))
        {
            return;
        }

        if (_block != block)
        {
            _cursor.SeekToLast();
            return;
        }

        SeekInBlock(internalKey);
        if (!_cursor.Valid)
        {
            _cursor.SeekToLast();
        }
        else if (!_cursor.Key.SequenceEqual(internalKey))
        {
            Prev();
        }
    }

    private void SeekInBlock(ReadOnlySpan<byte> internalKey)
    {
        fixed (byte* target = internalKey)
        {
            _cursor.Seek(
                target, internalKey.Length - InternalKey.TrailerBytes, InternalKey.GetVersion(internalKey).Value, internalKey[^1]);
        }
    }

    /// <inheritdoc/>
    public override void Next()
    {
        _cursor.Next();
        if (!_cursor.Valid && OpenForward(_block + 1))
        {
            _cursor.SeekToFirst();
        }
    }

    /// <inheritdoc/>
    public override void Prev()
    {
        _cursor.Prev();
        if (!_cursor.Valid && OpenBackward(_block - 1))
        {
            _cursor.SeekToLast();
        }
    }

    /// <inheritdoc/>
    /// <remarks>The span of <see cref="Value"/> must be taken after this: the block may have moved.</remarks>
    public override IPinOwner Pin(out nint token)
    {
        if (_inPlace)
        {
            int length = _index.Block(_block).Length;
            byte* copy = BlockMemory.Allocate(length);
            byte* here = _buffer + (_index.Block(_block).Offset - _bufferOffset);
            new ReadOnlySpan<byte>(here, length).CopyTo(new Span<byte>(copy, length));
            _cursor.Rebase(copy);
            _pinned = BlockMemory.PinUncached(copy, length);
            _inPlace = false;
        }

        token = _pinned.Token;
        IPinOwner owner = _pinned.Owner!;
        if (owner is BlockCache cache)
        {
            cache.Retain(token);
        }
        else
        {
            BlockMemory.UncachedBlocks.Retain(token);
        }

        return owner;
    }

    private bool OpenForward(int block)
    {
        while (block < _index.Count && (_index.Block(block).MaxVersion < _from || (_hidden is not null && _hidden.Contains(block))))
        {
            block++;
        }

        return block < _index.Count && (_upper.Length == 0 || _index.Separator(block).SequenceCompareTo(_upper) < 0)
            ? Open(block)
            : Close();
    }

    private bool OpenBackward(int block)
    {
        while (block >= 0 && _index.Block(block).MaxVersion < _from)
        {
            block--;
        }

        return block >= 0 ? Open(block) : Close();
    }

    private bool Close()
    {
        _cursor.Close();
        _pinned.Unpin();
        _pinned = default;
        _inPlace = false;
        _block = -1;
        return false;
    }

    private bool Open(int block)
    {
        if (block == _block)
        {
            return true;
        }

        Close();
        byte* data = null;
        if ((!_fillCache && TryFromBuffer(block, ref data)) || _reader.TryPinCached(block, out _pinned)
            || (_fillCache && TryFromBuffer(block, ref data)))
        {
            data = _inPlace ? data : _pinned.Data;
        }
        else
        {
            data = Read(block);
        }

        BlockFormat.PrefetchKeys(data);
        _block = block;
        _cursor.Open(data);
        return true;
    }

    private byte* Read(int block)
    {
        int distance = block - _lastMissedBlock;
        _sequentialMisses = distance is 1 or -1 ? _sequentialMisses + 1 : 0;
        _lastMissedBlock = block;
        if (!_sequential && _sequentialMisses < SequentialMissesBeforeReadahead)
        {
            _pinned = _reader.Load(block, _fillCache);
            return _pinned.Data;
        }

        ReadAhead(block, forward: distance >= 0 || _sequential);
        byte* data = null;
        Invariant.Check(TryFromBuffer(block, ref data), "a block that was just read is in the buffer");
        return _inPlace ? data : _pinned.Data;
    }

    private bool TryFromBuffer(int block, ref byte* data)
    {
        BlockHandle handle = _index.Block(block).Handle;
        if (handle.Offset < _bufferOffset || handle.End > _bufferOffset + _bufferLength)
        {
            return false;
        }

        data = _buffer + (handle.Offset - _bufferOffset);
        _pinned = _reader.LoadFrom(data, block, _fillCache, out _inPlace);
        _lastMissedBlock = block;
        return true;
    }

    /// <summary>Reads the block and as many whole neighbours as fit the present readahead, which then doubles.</summary>
    private void ReadAhead(int block, bool forward)
    {
        int first = block, last = block;
        long Bytes() => _index.Block(last).Handle.End - _index.Block(first).Offset;
        if (forward)
        {
            for (; last + 1 < _index.Count && _index.Block(last + 1).Handle.End - _index.Block(first).Offset <= _readahead; last++)
            {
            }
        }
        else
        {
            for (; first > 0 && _index.Block(last).Handle.End - _index.Block(first - 1).Offset <= _readahead; first--)
            {
            }
        }

        int bytes = checked((int)Bytes());
        if (_bufferCapacity < bytes)
        {
            FreeBuffer();
            _bufferCapacity = Math.Max(bytes, _readahead);
            _buffer = OffHeap.Allocate((long)_bufferCapacity + BlockMemory.SlackBytes);
        }

        _bufferLength = 0;
        _reader.ReadRaw(first, new Span<byte>(_buffer, bytes));
        _bufferOffset = _index.Block(first).Offset;
        _bufferLength = bytes;
        _readahead = Math.Min(_readahead * 2, _maxReadahead);
    }

    private void FreeBuffer()
    {
        if (_buffer != null)
        {
            OffHeap.Free(_buffer, (long)_bufferCapacity + BlockMemory.SlackBytes);
            _buffer = null;
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (!_disposed)
        {
            _disposed = true;
            _ = Close();
            _cursor.Free();
            FreeBuffer();
            _reader.Release();
        }
    }
}
