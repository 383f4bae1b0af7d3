namespace Henge.Bench.Load;

/// <summary>A system under load: Henge by one of its doors, or a peer.</summary>
public interface ILoadTarget : IAsyncDisposable
{
    /// <summary>What is measured, for the report.</summary>
    string Name { get; }

    /// <summary>Opens one connection (or a share of one) for a worker.</summary>
    Task<ILoadConnection> ConnectAsync(int worker, CancellationToken cancellationToken);

    /// <summary>The cluster as it is now; null when the target does not tell.</summary>
    Task<ClusterView?> ViewAsync(CancellationToken cancellationToken) => Task.FromResult<ClusterView?>(null);
}

/// <summary>What one worker works over. One call at a time, but for targets that pipeline: those take several.</summary>
public interface ILoadConnection : IAsyncDisposable
{
    /// <summary>Reads a key; true if it was found.</summary>
    ValueTask<bool> GetAsync(ReadOnlyMemory<byte> key, CancellationToken cancellationToken);

    /// <summary>Writes a key.</summary>
    ValueTask PutAsync(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value, CancellationToken cancellationToken);

    /// <summary>Reads up to so many keys from one on; how many there were.</summary>
    ValueTask<int> ScanAsync(ReadOnlyMemory<byte> start, int limit, CancellationToken cancellationToken);
}
