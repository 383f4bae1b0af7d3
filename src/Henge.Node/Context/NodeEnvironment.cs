using Henge.Storage;
using Henge.Storage.Files;

namespace Henge.Node.Context;

/// <summary>
/// The interfaces through which a node uses time, disk, network, threads and randomness. Given the same environment and the same calls, a
/// node does the same things; the simulator depends on that.
/// </summary>
public sealed record NodeEnvironment
{
    /// <summary>Wall clock and monotonic clock.</summary>
    public required TimeProvider Time { get; init; }

    /// <summary>The disk.</summary>
    public required IFileSystem FileSystem { get; init; }

    /// <summary>Opens the engine in a directory, without a log of its own.</summary>
    public required Func<string, IStorageEngine> OpenEngine { get; init; }

    /// <summary>
    /// The name of that engine, which the data directory keeps: a start with another one is refused. Null: not compared.
    /// </summary>
    public string? EngineName { get; init; }

    /// <summary>The way to the other nodes; null for a cluster of one.</summary>
    public IPeerTransport? Transport { get; init; }

    /// <summary>Runs the workers; lane i is worker i.</summary>
    public required IWorkScheduler Workers { get; init; }

    /// <summary>
    /// Runs reads for other nodes, which may wait for the disk; as many lanes as there are workers.
    /// </summary>
    public required IWorkScheduler Readers { get; init; }

    /// <summary>Runs the node log's writer, which waits for the disk: a thread of its own in production. Lane 0 only.</summary>
    public required IWorkScheduler LogWriter { get; init; }

    /// <summary>Ends the process when memory and disk may no longer agree.</summary>
    public required IFatalErrorHandler Fatal { get; init; }

    /// <summary>Takes the events that operators should know of; null: they are discarded.</summary>
    public INodeEvents? Events { get; init; }

    /// <summary>Seed of all random choices (election timeouts, the incarnation of a new data directory).</summary>
    public required ulong Seed { get; init; }
}

/// <summary>Ends the node at once: a failed sync, a broken invariant, a data directory that does not belong to the cluster.</summary>
public interface IFatalErrorHandler
{
    /// <summary>
    /// Ends the process (in the simulator: crashes the node). The node does nothing more after it, even when this returns.
    /// </summary>
    void Fatal(string message, Exception? cause);

    /// <summary>
    /// Ends the process because the node is no member of its cluster any more, which is in order. As for <see cref="Fatal"/>, the node does
    /// nothing more after it.
    /// </summary>
    void Left(string message) => Fatal(message, null);
}
