using Henge.Core;

namespace Henge.Node.Api;

/// <summary>What an <see cref="Operation"/> asks for.</summary>
public enum OperationKind : byte
{
    /// <summary>
    /// Read one key (<see cref="Operation.Key"/>). When it completes without error, call <see cref="IHengeNode.TryRead"/>.
    /// </summary>
    Get,
    /// <summary>Propose an encoded command (<see cref="Operation.Command"/>) to the shard of <see cref="Operation.Key"/>.</summary>
    Write,
    /// <summary>
    /// Make sure that a read of one shard (by <see cref="Operation.Key"/>) or, with <see cref="Operation.AllShards"/>, of all shards, sees
    /// everything that was acknowledged before. Completes with the version to read at.
    /// </summary>
    Barrier,
    /// <summary>
    /// Fetch what other nodes have of a page (<see cref="Operation.Page"/>). When it completes without error, call
    /// <see cref="IHengeNode.ReadPage"/>. Completes at once when this node has all of it.
    /// </summary>
    Page,
}
