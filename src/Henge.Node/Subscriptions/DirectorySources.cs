using Henge.Core;
using Henge.Node.Context;

namespace Henge.Node.Subscriptions;

/// <summary>Events come from voters, as the node's directory has them; learners only when there are no others.</summary>
internal sealed class DirectorySources(ShardDirectory directory, NodeId self) : IShardSources
{
    /// <inheritdoc/>
    public ulong Generation => directory.Generation;

    /// <inheritdoc/>
    public void AddNodes(ShardId shard, List<NodeId> nodes)
    {
        ShardPlace place = directory.PlaceOf(shard);
        AddOthers(place.Voters, nodes);
        if (!place.Leader.IsNone && place.Leader != self && !nodes.Contains(place.Leader))
        {
            nodes.Add(place.Leader);
        }

        if (nodes.Count == 0)
        {
            AddOthers(place.Learners, nodes);
        }
    }

    private void AddOthers(IReadOnlyList<NodeId> all, List<NodeId> nodes)
    {
        foreach (NodeId node in all)
        {
            if (node != self)
            {
                nodes.Add(node);
            }
        }
    }
}
