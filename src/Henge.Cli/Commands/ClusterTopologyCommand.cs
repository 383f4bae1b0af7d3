using System.CommandLine;
using System.Globalization;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Client;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary><c>henge cluster topology</c>: the ring and the shards.</summary>
internal static class ClusterTopologyCommand
{
    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Command command = new("topology", "Show the ring: which node has which shards, who leads them, and what moves.");
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            using HengeClient client = globals.Connect(parse);
            Wire.TopologyResponse topology = await client.TopologyAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
            Wire.PlacementResponse? placement = await ClusterView.TryReadAsync(client, cancellationToken).ConfigureAwait(false);
            if (globals.IsJson(parse))
            {
                WriteJson(context, topology, placement);
                return ExitCode.Ok;
            }

            context.Output.WriteLine(
                $"Cluster: {topology.ClusterId} | Epoch: {topology.Epoch} | Shards: {topology.ShardCount}"
                    + (placement is { Generation: > 0 } ? $" | Plan: {placement.Generation}" : "")
                    + (placement is { ReplicationFactor: > 0 } ? $" | Replicas: {placement.ReplicationFactor}" : ""));
            context.Output.WriteLine();
            context.Output.Write(RingPicture.Draw(topology, placement));
            context.Output.WriteLine();
            context.Output.WriteLine(RingPicture.Legend);
            context.Output.WriteLine();
            Table table = new Table("SHARD", "LEADER", "TERM", "REPLICAS", "RING", "MOVE").AlignRight(0, 2);
            foreach (Wire.ShardInfo shard in topology.Shards)
            {
                table.Add(
                    shard.Shard.ToString(CultureInfo.InvariantCulture),
                    shard.LeaderId.Length > 0 ? shard.LeaderId : "-",
                    shard.Term.ToString(CultureInfo.InvariantCulture),
                    string.Join(", ", shard.Replicas),
                    RingPicture.ArcOf(shard.Shard, (int)topology.ShardCount),
                    RingPicture.MoveOf(placement, shard.Shard));
            }

            context.Output.Write(table.ToString());
            return ExitCode.Ok;
        });
        return command.WithExamples("henge cluster topology", "henge cluster topology --output json");
    }

    private static void WriteJson(CliContext context, Wire.TopologyResponse topology, Wire.PlacementResponse? placement) =>
        JsonForm.WriteLine(context.Output, json =>
        {
            json.WriteString("cluster", topology.ClusterId);
            json.WriteNumber("epoch", topology.Epoch);
            if (placement is not null)
            {
                json.WriteNumber("generation", placement.Generation);
                json.WriteNumber("replication_factor", placement.ReplicationFactor);
            }

            json.WriteObjects("nodes", topology.Nodes, node =>
            {
                json.WriteString("id", node.NodeId);
                json.WriteString("address", node.Address);
                json.WriteString("state", node.State);
                json.WriteString("zone", node.Zone);
            });
            json.WriteObjects("shards", topology.Shards, shard =>
            {
                json.WriteNumber("shard", shard.Shard);
                json.WriteString("leader", shard.LeaderId);
                json.WriteNumber("term", shard.Term);
                json.WriteList("replicas", shard.Replicas, json.WriteStringValue);
                if (placement is not null && ClusterView.ShardOf(placement, shard.Shard) is { } target)
                {
                    json.WriteList("learners", target.Learners, json.WriteStringValue);
                    json.WriteList("planned", target.Planned, json.WriteStringValue);
                }

                json.WriteString("ring", RingPicture.ArcOf(shard.Shard, (int)topology.ShardCount));
            });
        });
}
