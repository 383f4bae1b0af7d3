using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.State;

namespace Henge.Storage.Lsm;

/// <summary>
/// Holds a super version, and with it all that could be read at the time: whatever compactions do meanwhile, the old tables stay until the
/// snapshot is disposed of (decision 0032).
/// </summary>
internal sealed class LsmSnapshot(EngineState? state, SuperVersion version, int stripe, KeyspaceClocks clocks) : IEngineSnapshot
{
    private int _disposed;

    public bool TryGet(uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        state?.ThrowIfUnusable();
        Core.Version at = clocks.Read(keyspace);
        return LsmEngine.TryGet(version, keyspace, key, point.At > at ? point with { At = at } : point, out value);
    }

    public EngineIterator CreateIterator(in IteratorOptions options)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        state?.ThrowIfUnusable();
        return LsmEngine.CreateIterator(version, clocks.Read(options.Keyspace), options, static () => { });
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            version.Release(stripe);
        }
    }
}
