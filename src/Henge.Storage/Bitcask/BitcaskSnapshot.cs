using Henge.Storage.Bitcask.State;
using Henge.Storage.Lsm.Buffers;

namespace Henge.Storage.Bitcask;

/// <summary>
/// Holds a view, and with it all that could be read at the time: whatever merges do meanwhile, the files stay until the snapshot is
/// disposed of.
/// </summary>
internal sealed class BitcaskSnapshot(BitcaskState state, ValueReader reader, IndexView view, int stripe, KeyspaceClocks clocks)
    : IEngineSnapshot
{
    private int _disposed;

    public bool TryGet(uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        state.ThrowIfUnusable();
        Core.Version at = clocks.Read(keyspace);
        return reader.TryGet(view, keyspace, key, point.At > at ? point with { At = at } : point, out value);
    }

    public EngineIterator CreateIterator(in IteratorOptions options)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        state.ThrowIfUnusable();
        Core.Version at = clocks.Read(options.Keyspace);
        return new BitcaskIterator(state, reader, view, options, options.Point.At < at ? options.Point.At : at, static () => { });
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            view.Release(stripe);
        }
    }
}
