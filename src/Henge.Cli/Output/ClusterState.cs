using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Output;

/// <summary>What was learnt of a cluster by one look.</summary>
/// <param name="Own">The state of the node that was asked.</param>
/// <param name="All">The states of all nodes; null when only one was asked.</param>
/// <param name="Topology">Which shards and members there are; null when the node does not tell.</param>
internal sealed record ClusterState(
    Wire.StatusResponse Own,
    Wire.ClusterStatusResponse? All,
    Wire.TopologyResponse? Topology = null)
{
    /// <summary>How a member stands: up, joining, draining, leaving; empty when that is not known.</summary>
    public string StateOf(string node) => Topology?.Nodes.FirstOrDefault(n => n.NodeId == node)?.State ?? "";
}
