using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Lsm.Iterators;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.MemTables;

namespace Henge.Storage.Bitcask.State;

/// <summary>
/// Walks over the index, and reads a value from its segment when it is asked for: a scan that wants keys only reads nothing from the disk.
/// </summary>
internal sealed unsafe class BitcaskIterator : EngineIterator
{
    private readonly BitcaskState _state;
    private readonly ValueReader _reader;
    private readonly IndexView _view;
    private readonly LsmIterator _index;
    private readonly byte[] _keyspace = new byte[InternalKey.KeyspaceBytes];
    private byte[] _prefix = new byte[64];
    private byte* _buffer;
    private byte* _value;
    private int _valueLength;

    /// <param name="state">The engine's state.</param>
    /// <param name="reader">Reads values.</param>
    /// <param name="view">What is read; the iterator keeps it until <paramref name="release"/> was called.</param>
    /// <param name="options">What the caller asked for.</param>
    /// <param name="at">The newest version to show.</param>
    /// <param name="release">Called once, when the view is not needed any more.</param>
    public BitcaskIterator(
        BitcaskState state,
        ValueReader reader,
        IndexView view,
        in IteratorOptions options,
        Core.Version at,
        Action release)
    {
        _state = state;
        _reader = reader;
        _view = view;
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(_keyspace, options.Keyspace);
        MemTable? table = view.Find(options.Keyspace);
        _index = new LsmIterator(table?.CreateIterator() ?? NoEntries.Instance, options, at, release);
    }

    public override bool Valid => _index.Valid;

    public override ReadOnlySpan<byte> Key => _index.Key;

    public override ReadOnlySpan<byte> Value
    {
        get
        {
            EntryKind kind = _index.Kind;
            if (kind == EntryKind.Delete)
            {
                return default;
            }

            if (_buffer == null)
            {
                Load(kind);
            }

            return new ReadOnlySpan<byte>(_value, _valueLength);
        }
    }

    public override Core.Version Version => _index.Version;

    public override EntryKind Kind => _index.Kind;

    public override long ExpiresAtMs => _index.ExpiresAtMs;

    public override DataType Type => _index.Type;

    private EntryAddress Address
    {
        get
        {
            ReadOnlySpan<byte> locator = _index.Value;
            return Locator.AddressOf((byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(locator)), locator.Length);
        }
    }

    public override void SeekToFirst()
    {
        Forget();
        _index.SeekToFirst();
        SkipForward();
    }

    public override void SeekToLast()
    {
        Forget();
        _index.SeekToLast();
        SkipBackward();
    }

    public override void Seek(ReadOnlySpan<byte> key)
    {
        Forget();
        _index.Seek(key);
        SkipForward();
    }

    public override void SeekForPrev(ReadOnlySpan<byte> key)
    {
        Forget();
        _index.SeekForPrev(key);
        SkipBackward();
    }

    public override void Next()
    {
        Forget();
        _index.Next();
        SkipForward();
    }

    public override void Prev()
    {
        Forget();
        _index.Prev();
        SkipBackward();
    }

    protected override void Dispose(bool disposing)
    {
        Forget();
        _index.Dispose();
    }

    private void Load(EntryKind kind)
    {
        ReadOnlySpan<byte> key = _index.Key;
        int length = InternalKey.KeyspaceBytes + key.Length;
        if (_prefix.Length < length)
        {
            _prefix = new byte[length * 2];
        }

        _keyspace.CopyTo(_prefix, 0);
        key.CopyTo(_prefix.AsSpan(InternalKey.KeyspaceBytes));
        ReadOnlySpan<byte> locator = _index.Value;
        byte* pointer = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(locator));
        byte* buffer = _reader.Read(
            _view,
            _prefix.AsSpan(0, length),
            _index.Version,
            kind,
            Locator.AddressOf(pointer, locator.Length),
            Locator.LengthOf(pointer),
            out ReadOnlySpan<byte> value);
        Core.Invariant.Check(buffer != null, "an iterator keeps what it stands on");
        _buffer = buffer;
        _value = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(value));
        _valueLength = value.Length;
    }

    private void Forget()
    {
        if (_buffer != null)
        {
            _state.Buffers.Unpin((nint)_buffer);
            _buffer = null;
        }
    }

    // Entries that the history floor had passed when the view was made, and that a merge has left out: the index still has them.
    private bool IsGone() => _state.FindSegment(Address.Segment) is not { } segment || !_view.MayRead(segment);

    private void SkipForward()
    {
        while (_index.Valid && IsGone())
        {
            _index.Next();
        }
    }

    private void SkipBackward()
    {
        while (_index.Valid && IsGone())
        {
            _index.Prev();
        }
    }

    private sealed class NoEntries : InternalIterator
    {
        public static NoEntries Instance { get; } = new();

        public override bool Valid => false;

        public override ReadOnlySpan<byte> Key => default;

        public override ReadOnlySpan<byte> Value => default;

        public override void SeekToFirst()
        {
        }

        public override void SeekToLast()
        {
        }

        public override void Seek(ReadOnlySpan<byte> internalKey)
        {
        }

        public override void SeekForPrev(ReadOnlySpan<byte> internalKey)
        {
        }

        public override void Next()
        {
        }

        public override void Prev()
        {
        }

        public override IPinOwner Pin(out nint token) => throw new InvalidOperationException("There is nothing to pin.");

        protected override void Dispose(bool disposing)
        {
            // Shared.
        }
    }
}
