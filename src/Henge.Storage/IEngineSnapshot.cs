namespace Henge.Storage;

/// <summary>A view of an engine that does not change. Thread-safe for reads.</summary>
public interface IEngineSnapshot : IDisposable
{
    /// <summary>As <see cref="IStorageEngine.TryGet"/>, over the snapshot.</summary>
    bool TryGet(uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value);

    /// <summary>As <see cref="IStorageEngine.CreateIterator"/>, over the snapshot. Dispose of iterators before the snapshot.</summary>
    EngineIterator CreateIterator(in IteratorOptions options);
}
