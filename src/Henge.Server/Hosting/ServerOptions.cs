using Henge.Node.Context;
using Henge.Server.Events;

namespace Henge.Server.Hosting;

/// <summary>The engines that a node can keep its data in.</summary>
public enum EngineKind
{
    /// <summary>A log-structured merge tree on disk.</summary>
    Lsm,
    /// <summary>Memory only; what is durable is the node's log, which is replayed at a start.</summary>
    Memory,
}

/// <summary>How the node's workers run (docs/decisions on schedulers).</summary>
public enum SchedulerKind
{
    /// <summary>On the pool of .NET.</summary>
    Pool,
    /// <summary>Each on a thread and a core of its own.</summary>
    Pinned,
    /// <summary>On fixed threads with one queue.</summary>
    Queue,
    /// <summary>On a new thread for each piece of work.</summary>
    Thread,
}

/// <summary>All settings of a node. <see cref="ServerSettings"/> names each setting for users.</summary>
public sealed record ServerOptions
{
    /// <summary>The node: its name, its cluster, its data, and limits on what may be asked.</summary>
    public NodeOptions Node { get; init; } = new() { Name = "node1", DataDirectory = Path.Combine("data", "node1") };

    /// <summary>The port: where to listen, and limits on connections and calls.</summary>
    public DoorOptions Door { get; init; } = new() { Address = "127.0.0.1:7001" };

    /// <summary>Host and port at which others reach this node; empty: where it listens.</summary>
    public string AdvertisedAddress { get; init; } = "";

    /// <summary>The engine.</summary>
    public EngineKind Engine { get; init; }

    /// <summary>Memory of the engine, memtables and block cache together, in bytes.</summary>
    public long MemoryBytes { get; init; } = 512L << 20;

    /// <summary>How workers run.</summary>
    public SchedulerKind Scheduler { get; init; }

    /// <summary>What is logged, and how.</summary>
    public LogOptions Log { get; init; } = new();

    /// <summary>Where metrics are exported to, as an http or https URL of an OTLP collector (gRPC); empty: nowhere.</summary>
    public string OtlpEndpoint { get; init; } = "";

    /// <summary>How often metrics are exported.</summary>
    public TimeSpan OtlpInterval { get; init; } = TimeSpan.FromSeconds(15);
}
