using Henge.Node.Context;
using Henge.Server.Audit;
using Henge.Server.Events;

namespace Henge.Server.Hosting;

/// <summary>All settings of a node. <see cref="ServerSettings"/> names each setting for users.</summary>
public sealed record ServerOptions
{
    /// <summary>The node: its name, its cluster, its data, and limits on what may be asked.</summary>
    public NodeOptions Node { get; init; } = new() { Name = "node1", DataDirectory = Path.Combine("data", "node1") };

    /// <summary>The port: where to listen, and limits on connections and calls.</summary>
    public DoorOptions Door { get; init; } = new() { Address = "127.0.0.1:7001" };

    /// <summary>Host and port at which others reach this node; empty: where it listens.</summary>
    public string AdvertisedAddress { get; init; } = "";

    /// <summary>
    /// Addresses of members of the cluster that the node joins when its data directory is new; empty: it is one of
    /// <see cref="NodeOptions.Cluster"/>.
    /// </summary>
    public IReadOnlyList<string> Join { get; init; } = [];

    /// <summary>The settings name other nodes.</summary>
    internal bool IsForPeers => Node.Cluster.Count > 1 || Join.Count > 0;

    /// <summary>The engine.</summary>
    public EngineKind Engine { get; init; }

    /// <summary>Memory of the engine, memtables and block cache together, in bytes.</summary>
    public long MemoryBytes { get; init; } = 512L << 20;

    /// <summary>How workers run.</summary>
    public SchedulerKind Scheduler { get; init; }

    /// <summary>What is logged, and how.</summary>
    public LogOptions Log { get; init; } = new();

    /// <summary>Who did what, for those who look after the cluster.</summary>
    public AuditOptions Audit { get; init; } = new();

    /// <summary>Where metrics are exported to, as an http or https URL of an OTLP collector (gRPC); empty: nowhere.</summary>
    public string OtlpEndpoint { get; init; } = "";

    /// <summary>How often metrics are exported.</summary>
    public TimeSpan OtlpInterval { get; init; } = TimeSpan.FromSeconds(15);
}
