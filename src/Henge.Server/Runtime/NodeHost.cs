using System.Diagnostics;
using System.Security.Cryptography;
using Henge.Core;
using Henge.Node;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Server.Events;
using Henge.Server.Peers;
using Henge.Server.Tls;
using Henge.Storage.Files;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Runtime;

/// <summary>How the host runs a node.</summary>
public sealed record NodeHostOptions
{
    /// <summary>The node's own settings.</summary>
    public required NodeOptions Node { get; init; }

    /// <summary>The engine: <c>lsm</c>, <c>memory</c> or <c>rocksdb</c>.</summary>
    public string Engine { get; init; } = "lsm";

    /// <summary>Memory of the engine, in bytes.</summary>
    public long EngineMemoryBytes { get; init; } = 512L * 1024 * 1024;

    /// <summary>How workers run: <c>pool</c>, <c>pinned</c>, <c>queue</c> or <c>thread</c>.</summary>
    public string Scheduler { get; init; } = "pool";

    /// <summary>Takes the events that operators should know of; null: nothing is logged.</summary>
    public ILoggerFactory? Logging { get; init; }

    /// <summary>
    /// Ends the process at fatal errors; null for the default, which says why on standard error and in the log, and kills the process.
    /// </summary>
    public IFatalErrorHandler? Fatal { get; init; }

    /// <summary>Speaks TLS with the other nodes; null: connections to them are cleartext.</summary>
    internal TlsConnector? Tls { get; init; }
}

/// <summary>Gives a node threads, clock, disk and network, and runs it. Dispose of it to stop the node.</summary>
public sealed class NodeHost : IDisposable
{
    private const int AloneTickMs = 40;
    private readonly IWorkScheduler _workers;
    private readonly LaneScheduler _logWriter;
    private readonly NodeEventLog? _events;
    private readonly Ticker _ticker;
    private int _disposed;

    private NodeHost(HengeNode node, PeerTransport transport, IWorkScheduler workers, LaneScheduler logWriter, NodeEventLog? events)
    {
        Node = node;
        Transport = transport;
        _workers = workers;
        _logWriter = logWriter;
        _events = events;
        node.Start();

        // Ticks that are due are counted by the clock, so calls may be fewer: a node that has no peers to hear from need not wake up so
        // often.
        _ticker = new Ticker(() => Transport.HasPeers ? node.Options.TickMs : Math.Max(node.Options.TickMs, AloneTickMs), node.Tick);
    }

    /// <summary>The node.</summary>
    public HengeNode Node { get; }

    /// <summary>The way to the other nodes, to which the port hands peers' connections.</summary>
    public PeerTransport Transport { get; }

    /// <summary>Opens the data directory and begins to take part in the cluster. Throws what <see cref="HengeNode.Open"/> throws.</summary>
    public static NodeHost Start(NodeHostOptions options)
    {
        var files = new PosixFileSystem();
        IReadOnlyList<NodeEntry> members = IdentityFile.ListMembers(files, options.Node, out NodeId own);

        // With peers, what one worker gathers is worth more than a second one: doors, sockets and the log need processors as well
        // (docs/decisions/0115).
        int most = members.Count > 1 ? Math.Max(1, Environment.ProcessorCount / 2) : Environment.ProcessorCount;
        int workers = options.Node.Workers > 0 ? options.Node.Workers : most;
        NodeOptions node = options.Node with { Workers = workers };
        int place = (int)own.Value - 1;

        // A cluster of one has no peers, and still answers nodes that take it for one of theirs why it is not.
        var transport = new PeerTransport(own, members, new PeerTransportOptions { Tls = options.Tls }, options.Logging);
        IWorkScheduler scheduler = options.Scheduler switch
        {
            "pool" => new PoolScheduler(),
            "pinned" => new LaneScheduler("henge-worker", workers, pinned: true),
            "queue" => new SharedQueueScheduler("henge-worker", workers),
            "thread" => new ThreadPerItemScheduler(),
            _ => throw new HengeException(
                ErrorCode.InvalidArgument,
                $"There is no scheduler '{options.Scheduler}'; there are pool, pinned, queue and thread."),
        };
        var logWriter = new LaneScheduler("henge-log", 1, pinned: false);
        NodeEventLog? events = options.Logging is { } logging ? new NodeEventLog(logging) : null;
        try
        {
            return new NodeHost(
                HengeNode.Open(node, new NodeEnvironment
                {
                    Time = NodeClock.Create(),
                    FileSystem = files,
                    EngineName = options.Engine,
                    OpenEngine = directory => NodeEngines.Open(options.Engine, files, directory, options.EngineMemoryBytes, place),
                    Transport = transport,
                    Workers = scheduler,
                    Readers = new PoolScheduler(),
                    LogWriter = logWriter,
                    Fatal = options.Fatal ?? new EndingFatalErrorHandler(options.Logging),
                    Events = events,
                    Seed = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)),
                }),
                transport,
                scheduler,
                logWriter,
                events);
        }
        catch
        {
            events?.Dispose();
            logWriter.Dispose();
            (scheduler as IDisposable)?.Dispose();
            transport.Dispose();
            throw;
        }
    }

    /// <summary>Stops the node: fails what waits, ends its threads, closes its files. Blocks until that is done.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _ticker.Dispose();
        Transport.Dispose();
        using var stopped = new ManualResetEventSlim(false);
        Node.BeginStop(stopped.Set);
        stopped.Wait(TimeSpan.FromSeconds(10));
        (_workers as IDisposable)?.Dispose();
        _logWriter.Dispose();
        Node.Dispose();
        _events?.Dispose();
    }
}
