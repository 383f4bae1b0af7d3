namespace Henge.Storage.RocksDb;

/// <summary>A plain cursor over everything in the database, for what the engine itself looks for. Forward only. Not thread-safe.</summary>
internal readonly unsafe struct RocksCursor : IDisposable
{
    private readonly nint _options;
    private readonly nint _iterator;

    public RocksCursor(nint db)
    {
        _options = RocksHandles.CreateReadOptions(isScan: true, fillCache: false, snapshot: 0);
        _iterator = Rocks.create_iterator(db, _options);
    }

    /// <summary>True while it stands on something.</summary>
    public bool Valid => Rocks.iter_valid(_iterator) != 0;

    /// <summary>The key; until the next move.</summary>
    public ReadOnlySpan<byte> Key
    {
        get
        {
            nuint length;
            byte* bytes = Rocks.iter_key(_iterator, &length);
            return new ReadOnlySpan<byte>(bytes, (int)length);
        }
    }

    /// <summary>The value; until the next move.</summary>
    public ReadOnlySpan<byte> Value
    {
        get
        {
            nuint length;
            byte* bytes = Rocks.iter_value(_iterator, &length);
            return new ReadOnlySpan<byte>(bytes, (int)length);
        }
    }

    /// <summary>Why it is not valid, if that is not the end: an error string to be freed; null for the end.</summary>
    public byte* Error
    {
        get
        {
            byte* error = null;
            Rocks.iter_get_error(_iterator, &error);
            return error;
        }
    }

    public void Seek(ReadOnlySpan<byte> sought)
    {
        fixed (byte* key = sought)
        {
            // An empty span has no address, and RocksDB wants one.
            byte none = 0;
            Rocks.iter_seek(_iterator, key == null ? &none : key, (nuint)sought.Length);
        }
    }

    public void Next() => Rocks.iter_next(_iterator);

    public void Dispose()
    {
        Rocks.iter_destroy(_iterator);
        Rocks.readoptions_destroy(_options);
    }
}
