using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Commands;

/// <summary>
/// CLUSTER: the nodes and shards that there are, in the words of Redis Cluster, for those who look. It is not one: keys lie in Henge's
/// shards and not in hash slots, any node answers for any key, and no node redirects. So clients stay in their mode for a single server,
/// and what would have them look for slots is refused (docs/decisions/0100-where-resp-differs.md).
/// </summary>
internal static class ClusterCommands
{
    // Clients know it by its beginning.
    private const string NoSlots = "ERR This instance has cluster support disabled: there are no hash slots here, any node answers for any "
        + "key. Connect as to a single server.";

    public static IEnumerable<RespCommand> All => [new LocalCommand("cluster", -2, Run)];

    private static void Run(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        if (arguments.Is(1, "INFO"u8) && arguments.Count == 2)
        {
            Info(connection.Node, writer);
        }
        else if (arguments.Is(1, "NODES"u8) && arguments.Count == 2)
        {
            Nodes(connection.Node, writer);
        }
        else if (arguments.Is(1, "MYID"u8) && arguments.Count == 2)
        {
            NodeStatus status = connection.Node.GetStatus();
            writer.Bulk(IdOf(status.Id, status.ClusterId));
        }
        else if (arguments.Is(1, "SHARDS"u8) && arguments.Count == 2)
        {
            Shards(connection.Node, writer);
        }
        else
        {
            writer.Error(NoSlots);
        }
    }

    /// <summary>The 40 hexadecimal digits that Redis names nodes by: the cluster's id, and the number that the node has for ever.</summary>
    private static string IdOf(NodeId node, string clusterId) =>
        string.Create(CultureInfo.InvariantCulture, $"{clusterId.PadLeft(32, '0')[..32]}{node.Value:x8}");

    // No cluster_state: tools that find "ok" there go on to look for slots.
    private static void Info(IHengeNode node, RespWriter writer)
    {
        NodeStatus status = node.GetStatus();
        Topology topology = node.GetTopology();
        int leaders = topology.Shards.Where(static s => !s.Leader.IsNone).Select(static s => s.Leader).Distinct().Count();
        int leaderless = topology.Shards.Count(static s => s.Leader.IsNone);
        writer.Verbatim(
            string.Create(
                CultureInfo.InvariantCulture,
                $"cluster_enabled:0\r\ncluster_slots_assigned:0\r\ncluster_slots_ok:0\r\ncluster_slots_pfail:0\r\ncluster_slots_fail:0\r\n"
                    + $"cluster_known_nodes:{topology.Nodes.Count}\r\ncluster_size:{leaders}\r\n"
                    + $"henge_cluster_id:{topology.ClusterId}\r\nhenge_state:{(leaderless == 0 ? "ok" : "fail")}\r\n"
                    + $"henge_shards:{topology.Shards.Count}\r\nhenge_shards_without_leader:{leaderless}\r\n"
                    + $"henge_shards_led:{topology.Shards.Count(s => s.Leader == status.Id)}\r\n"
                    + $"henge_members_generation:{topology.MembersVersion.Value}\r\n"));
    }

    // A line for each node, as Redis has it, without slots; as an array: StackExchange.Redis takes a text for a cluster of hash slots.
    private static void Nodes(IHengeNode node, RespWriter writer)
    {
        NodeStatus status = node.GetStatus();
        Topology topology = node.GetTopology();
        writer.Array(topology.Nodes.Count);
        StringBuilder line = new();
        foreach (NodeEntry entry in topology.Nodes)
        {
            bool isSelf = entry.Id == status.Id;
            bool isConnected = isSelf || status.ConnectedPeers.Contains(entry.Id);
            (_, int port) = HostAndPort(entry.Address);
            line.Clear().Append(
                CultureInfo.InvariantCulture,
                $"{IdOf(entry.Id, topology.ClusterId)} {entry.Address}@{port},{entry.Name} ");
            line.Append(isSelf ? "myself,master" : isConnected ? "master" : "master,fail?");
            writer.Bulk(line.Append(isConnected ? " - 0 0 0 connected" : " - 0 0 0 disconnected").ToString());
        }
    }

    private static void Shards(IHengeNode node, RespWriter writer)
    {
        NodeStatus status = node.GetStatus();
        Topology topology = node.GetTopology();
        Dictionary<NodeId, NodeEntry> nodes = topology.Nodes.ToDictionary(static n => n.Id);
        writer.Array(topology.Shards.Count);
        foreach (ShardPlacement shard in topology.Shards)
        {
            NodeEntry[] replicas = [.. shard.Replicas.Where(nodes.ContainsKey).Select(id => nodes[id])];
            writer.Map(3);
            writer.Bulk("slots");
            writer.Array(0);
            writer.Bulk("henge-shard");
            writer.Integer(shard.Shard.Value);
            writer.Bulk("nodes");
            writer.Array(replicas.Length);
            foreach (NodeEntry replica in replicas)
            {
                (string host, int port) = HostAndPort(replica.Address);
                bool isConnected = replica.Id == status.Id || status.ConnectedPeers.Contains(replica.Id);
                writer.Map(6);
                Field(writer, "id", IdOf(replica.Id, topology.ClusterId));
                writer.Bulk("port");
                writer.Integer(port);
                Field(writer, "ip", host);
                Field(writer, "endpoint", host);
                Field(writer, "role", replica.Id == shard.Leader ? "master" : "replica");
                Field(writer, "health", isConnected ? "online" : "fail");
            }
        }
    }

    private static void Field(RespWriter writer, string name, string value)
    {
        writer.Bulk(name);
        writer.Bulk(value);
    }

    private static (string Host, int Port) HostAndPort(string address)
    {
        int colon = address.LastIndexOf(':');
        return colon > 0 && int.TryParse(address[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int port)
            ? (address[..colon].Trim('[', ']'), port)
            : (address, 0);
    }
}
