using Henge.Core;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.RocksDb;

/// <summary>
/// A cursor of RocksDB over entries, which shows them under internal keys: so what is visible, and in which order, is decided by the same
/// code as in the LSM engine.
/// </summary>
internal sealed unsafe class RocksIterator : InternalIterator
{
    private readonly RocksDbEngine _engine;
    private readonly uint _keyspace;
    private readonly nint _options;
    private nint _iterator;
    private byte[] _key = new byte[128];
    private byte[] _rocksKey = new byte[128];
    private int _keyLength;
    private bool _valid;
    private byte* _value;
    private int _valueLength;

    /// <param name="engine">Whose.</param>
    /// <param name="keyspace">Where it is meant to walk, for what is found damaged.</param>
    /// <param name="fillCache">Whether blocks that it reads stay in the cache.</param>
    /// <param name="snapshot">As of when; 0: now.</param>
    public RocksIterator(RocksDbEngine engine, uint keyspace, bool fillCache, nint snapshot)
    {
        _engine = engine;
        _keyspace = keyspace;
        _options = RocksHandles.CreateReadOptions(isScan: true, fillCache, snapshot);
        _iterator = Rocks.create_iterator(engine.Handles.Db, _options);
    }

    public override bool Valid => _valid;

    public override ReadOnlySpan<byte> Key => _key.AsSpan(0, _keyLength);

    public override ReadOnlySpan<byte> Value => new(_value, _valueLength);

    public override void SeekToFirst() => SeekTo([RocksKey.EntryTag]);

    public override void SeekToLast()
    {
        Span<byte> end = [RocksKey.EntryTag + 1];
        fixed (byte* key = end)
        {
            Rocks.iter_seek_for_prev(_iterator, key, 1);
        }

        Take();
    }

    public override void Seek(ReadOnlySpan<byte> internalKey)
    {
        SeekTo(ToRocks(internalKey));

        // There the version is not part of the order, and the kind never is.
        while (_valid && InternalKey.Compare(Key, internalKey) < 0)
        {
            Next();
        }
    }

    public override void SeekForPrev(ReadOnlySpan<byte> internalKey)
    {
        ReadOnlySpan<byte> sought = ToRocks(internalKey);
        fixed (byte* key = sought)
        {
            Rocks.iter_seek_for_prev(_iterator, key, (nuint)sought.Length);
        }

        Take();
        while (_valid && InternalKey.Compare(Key, internalKey) > 0)
        {
            Prev();
        }
    }

    public override void Next()
    {
        Rocks.iter_next(_iterator);
        Take();
    }

    public override void Prev()
    {
        Rocks.iter_prev(_iterator);
        Take();
    }

    // RocksDB's own memory is not pinned over a move: a copy is.
    public override IPinOwner Pin(out nint token)
    {
        byte* copy = (byte*)System.Runtime.InteropServices.NativeMemory.Alloc((nuint)Math.Max(1, _valueLength));
        Value.CopyTo(new Span<byte>(copy, _valueLength));
        _value = copy;
        token = (nint)copy;
        return CopyOwner.Instance;
    }

    protected override void Dispose(bool disposing)
    {
        if (_iterator != 0)
        {
            Rocks.iter_destroy(_iterator);
            Rocks.readoptions_destroy(_options);
            (_iterator, _valid) = (0, false);
        }
    }

    private ReadOnlySpan<byte> ToRocks(ReadOnlySpan<byte> internalKey)
    {
        InternalKey.Split(internalKey, out uint keyspace, out ReadOnlySpan<byte> key, out Core.Version version, out _);
        int most = RocksKey.MaxBytes(key.Length);
        if (_rocksKey.Length < most)
        {
            _rocksKey = new byte[most * 2];
        }

        return _rocksKey.AsSpan(0, RocksKey.Write(_rocksKey, keyspace, key, version));
    }

    private void SeekTo(ReadOnlySpan<byte> sought)
    {
        fixed (byte* key = sought)
        {
            Rocks.iter_seek(_iterator, key, (nuint)sought.Length);
        }

        Take();
    }

    private void Take()
    {
        _valid = false;
        if (Rocks.iter_valid(_iterator) == 0)
        {
            byte* error = null;
            Rocks.iter_get_error(_iterator, &error);
            _engine.Check(error, _keyspace);
            return;
        }

        nuint keyLength, valueLength;
        byte* key = Rocks.iter_key(_iterator, &keyLength);
        if (*key != RocksKey.EntryTag)
        {
            return;
        }

        byte* value = Rocks.iter_value(_iterator, &valueLength);
        var rocksKey = new ReadOnlySpan<byte>(key, (int)keyLength);
        var stored = new ReadOnlySpan<byte>(value, (int)valueLength);
        if (!RocksKey.IsWellFormed(rocksKey, stored))
        {
            throw _engine.Malformed(rocksKey, _keyspace);
        }

        _keyLength = RocksKey.ToInternal(ref _key, rocksKey, stored);
        _valueLength = RocksKey.BodyOf(rocksKey, stored, out _).Length;
        _value = value + (stored.Length - _valueLength);
        _valid = true;
    }

    private sealed class CopyOwner : IPinOwner
    {
        public static readonly CopyOwner Instance = new();

        public void Unpin(nint token) => System.Runtime.InteropServices.NativeMemory.Free((void*)token);
    }
}
