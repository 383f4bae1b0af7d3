using Henge.Core;
using Henge.Node.Replication;

namespace Henge.Node.Hosting;

/// <summary>What a node does now and then as a whole: lets old history go, and looks into the catalog. Called on the thread that ticks.</summary>
internal sealed class NodeUpkeep(NodeParts parts)
{
    private readonly NodeContext _node = parts.Context;

    /// <summary>Does it.</summary>
    public void Run()
    {
        _node.Incarnations.Refresh();
        _node.Cluster.Refresh();
        AdvanceHistory();
    }

    // Not above what any shard has applied: a replica that still has older commands to apply must see the same history as the others did.
    private void AdvanceHistory()
    {
        Core.Version floor = Core.Version.FromMilliseconds(_node.Clock.Now.Milliseconds - _node.Options.HistoryMs);
        foreach (ShardReplica replica in parts.Replicas)
        {
            if (!replica.Shard.IsCatalog && replica.AppliedVersion < floor)
            {
                floor = replica.AppliedVersion;
            }
        }

        _node.History.Advance(floor);
    }
}
