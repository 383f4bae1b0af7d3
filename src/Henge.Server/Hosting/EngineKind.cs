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
    /// <summary>RocksDB, from its package.</summary>
    RocksDb,
}
