using System.Globalization;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Operations;
using NodeStatus = Henge.Thrift.Generated.NodeStatus;
using ShardState = Henge.Node.Api.ShardStatus;
using ShardStatus = Henge.Thrift.Generated.ShardStatus;

namespace Henge.Server.Thrift;

/// <summary>A node's state as the struct of the API. Pure functions.</summary>
internal static class StatusReport
{
    private static readonly ReplicaRole[] ByRank =
        [ReplicaRole.Leader, ReplicaRole.Candidate, ReplicaRole.Follower, ReplicaRole.Learner];

    /// <summary>The state of a node.</summary>
    public static NodeStatus Of(IHengeNode node)
    {
        Henge.Node.Api.NodeStatus status = node.GetStatus();
        Topology topology = node.GetTopology();
        ReplicaRole role = ByRank.FirstOrDefault(r => status.Shards.Any(s => s.Role == r), ReplicaRole.Follower);
        NodeId leader = role == ReplicaRole.Leader ? status.Id
            : status.Shards.Select(static s => s.Leader).FirstOrDefault(static l => !l.IsNone, NodeId.None);
        return new NodeStatus
        {
            NodeId = status.Name,
            Role = Name(role),
            Term = status.Shards.Count == 0 ? 0 : (long)status.Shards.Max(static s => s.Term.Value),
            LeaderId = NameOf(leader, topology),
            CommittedIndex = status.Shards.Sum(static s => (long)s.Committed.Value),
            AppliedIndex = status.Shards.Sum(static s => (long)s.Applied.Value),
            Peers = [.. topology.Nodes.Where(n => n.Id != status.Id).Select(static n => n.Address)],
            ClusterId = status.ClusterId,
            Version = Product.Version,
            UptimeMs = status.UptimeMs,
            Shards = [.. status.Shards.Select(s => Of(s, topology))],
            Address = status.Address,
        };
    }

    private static ShardStatus Of(ShardState shard, Topology topology) => new()
    {
        Shard = (int)shard.Shard.Value,
        Role = Name(shard.Role),
        Term = (long)shard.Term.Value,
        LeaderId = NameOf(shard.Leader, topology),
        CommittedIndex = (long)shard.Committed.Value,
        AppliedIndex = (long)shard.Applied.Value,
        LastIndex = (long)shard.Last.Value,
        FirstIndex = (long)shard.First.Value,
        LastVersion = (long)shard.LastVersion.Value,
        Error = shard.Error ?? "",
    };

    private static string NameOf(NodeId id, Topology topology)
    {
        foreach (NodeEntry entry in topology.Nodes)
        {
            if (entry.Id == id)
            {
                return entry.Name;
            }
        }

        return id.IsNone ? "" : id.Value.ToString(CultureInfo.InvariantCulture);
    }

    private static string Name(ReplicaRole role) => role.ToString().ToLowerInvariant();
}
