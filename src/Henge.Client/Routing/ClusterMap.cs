using Henge.Client.Settings;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Routing;

/// <summary>What the client knows of the cluster at one moment. Immutable.</summary>
internal sealed class ClusterMap
{
    private readonly string?[] _leaders;

    private ClusterMap(string?[] leaders, string[] addresses)
    {
        _leaders = leaders;
        Shards = leaders.Length == 0 ? null : new ShardMap(leaders.Length);
        Addresses = addresses;
    }

    /// <summary>Addresses of all nodes, in the cluster's order.</summary>
    public string[] Addresses { get; }

    /// <summary>How the cluster's keys are cut into shards; null when not known.</summary>
    public ShardMap? Shards { get; }

    /// <summary>Nothing known but where to begin.</summary>
    public static ClusterMap Of(string[] addresses) => new([], addresses);

    /// <summary>What a node says; addresses that make no sense are left out.</summary>
    public static ClusterMap Of(Wire.TopologyResponse topology)
    {
        Dictionary<string, string> byName = [];
        foreach (Wire.NodeInfo node in topology.Nodes)
        {
            if (PeerAddress.TryParse(node.Address, out string parsed))
            {
                byName[node.NodeId] = parsed;
            }
        }

        // A count that no cluster has would be an attack on our memory.
        string?[] leaders = topology.ShardCount <= ShardMap.MaxShards ? new string?[topology.ShardCount] : [];
        foreach (Wire.ShardInfo shard in topology.Shards)
        {
            if (shard.Shard < leaders.Length && byName.TryGetValue(shard.LeaderId, out string? address))
            {
                leaders[shard.Shard] = address;
            }
        }

        return new ClusterMap(leaders, [.. byName.Values.Distinct()]);
    }

    /// <summary>The leader of a shard; null when not known.</summary>
    public string? LeaderOf(ShardId shard) => shard.Value < (uint)_leaders.Length ? _leaders[shard.Value] : null;

    /// <summary>The same with another leader for a shard.</summary>
    public ClusterMap With(ShardId shard, string? leader)
    {
        if (shard.Value >= (uint)_leaders.Length || _leaders[shard.Value] == leader)
        {
            return this;
        }

        string?[] leaders = [.. _leaders];
        leaders[shard.Value] = leader;
        return new ClusterMap(leaders, Addresses);
    }
}
