using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Client;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary><c>henge cluster</c>: for operators.</summary>
internal static class ClusterCommand
{
    public static Command Create(CliContext context, GlobalOptions globals) =>
        new("cluster", "Look after the cluster.")
        {
            ClusterNodesCommand.Create(context, globals),
            ClusterTopologyCommand.Create(context, globals),
            ClusterMovesCommand.Create(context, globals),
            ClusterMemberCommands.Remove(context, globals),
            ClusterMemberCommands.Replace(context, globals),
            ClusterMemberCommands.Cancel(context, globals),
            ClusterMemberCommands.Drain(context, globals),
            ClusterMemberCommands.Undrain(context, globals),
            ClusterPlanCommands.Rebalance(context, globals),
            ClusterPlanCommands.Set(context, globals),
            ClusterPlanCommands.Settings(context, globals),
            TransferLeader(context, globals),
            ClusterRecoverCommand.Create(context, globals),
        };

    private static Command TransferLeader(CliContext context, GlobalOptions globals)
    {
        Option<string> to = new("--to")
        {
            Description = "The node that shall lead.",
            HelpName = "node",
            Required = true,
        };
        Option<string?> from = new("--from")
        {
            Description = "Only what this node leads; default: whatever any node leads.",
            HelpName = "node",
        };
        Option<int[]> shards = new("--shard")
        {
            Description = "Only this shard; may be repeated.",
            HelpName = "number",
            AllowMultipleArgumentsPerToken = true,
        };
        Command command = new("transfer-leader", "Hand the lead of shards over to another node.") { to, from, shards };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            string target = parse.GetRequiredValue(to);
            using HengeClient client = globals.Connect(parse);
            Wire.TopologyResponse topology = await client.TopologyAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
            CheckNode(topology, target, "--to");
            string? source = parse.GetValue(from);
            if (source is not null)
            {
                CheckNode(topology, source, "--from");
            }

            uint[] wanted = [.. (parse.GetValue(shards) ?? []).Select(s => s >= 0 && s < topology.ShardCount
                ? (uint)s
                : throw new UsageException($"There is no shard {s}; the cluster has shards 0 to {topology.ShardCount - 1}."))];
            uint transferred = 0;
            List<string> errors = [];
            foreach (IGrouping<string, Wire.ShardInfo> led in topology.Shards
                .Where(s => s.LeaderId != target && (source is null || s.LeaderId == source) && (wanted.Length == 0
                    || wanted.Contains(s.Shard)))
                .GroupBy(s => s.LeaderId))
            {
                string? address = topology.Nodes.FirstOrDefault(n => n.NodeId == led.Key)?.Address;
                if (address is null)
                {
                    errors.Add($"No leader is known of shards {string.Join(", ", led.Select(s => s.Shard))}.");
                    continue;
                }

                Wire.TransferLeaderResponse answer = await client
                    .TransferLeaderAsync(address, target, led.Select(s => (int)s.Shard), cancellationToken).ConfigureAwait(false);
                transferred += answer.Transferred;
                errors.AddRange(answer.Errors);
            }

            if (globals.IsJson(parse))
            {
                JsonForm.WriteLine(context.Output, json =>
                {
                    json.WriteNumber("transferred", transferred);
                    json.WriteList("errors", errors, json.WriteStringValue);
                });
            }
            else
            {
                context.Output.WriteLine($"Transferred: {transferred}");
                errors.ForEach(e => context.Error.WriteLine("henge: " + e));
            }

            return errors.Count == 0 ? ExitCode.Ok : ExitCode.No;
        });
        return command.WithExamples("henge cluster transfer-leader --to node2", "henge cluster transfer-leader --from node1 --to node3 "
            + "--shard 4");
    }

    private static void CheckNode(Wire.TopologyResponse topology, string name, string option)
    {
        if (topology.Nodes.All(n => n.NodeId != name))
        {
            throw new UsageException(
                $"{option} {name}: there is no such node; the cluster has {string.Join(", ", topology.Nodes.Select(n => n.NodeId))}.");
        }
    }
}
