namespace Henge.Storage.RocksDb;

/// <summary>A snapshot of RocksDB: a sequence number below which nothing is dropped until it is released.</summary>
internal sealed class RocksDbSnapshot : IEngineSnapshot
{
    private readonly RocksDbEngine _engine;
    private readonly nint _snapshot;
    private readonly nint _pointReads;
    private int _disposed;

    public RocksDbSnapshot(RocksDbEngine engine)
    {
        _engine = engine;
        _snapshot = Rocks.create_snapshot(engine.Handles.Db);
        _pointReads = RocksHandles.CreateReadOptions(isScan: false, fillCache: true, _snapshot);
    }

    public bool TryGet(uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        return _engine.TryGet(_pointReads, keyspace, key, point, out value);
    }

    public EngineIterator CreateIterator(in IteratorOptions options)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        return _engine.CreateIterator(options, _snapshot);
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            Rocks.readoptions_destroy(_pointReads);
            Rocks.release_snapshot(_engine.Handles.Db, _snapshot);
        }
    }
}
