using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Client;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary><c>henge cluster nodes</c>: who belongs to the cluster.</summary>
internal static class ClusterNodesCommand
{
    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Command command = new("nodes", "Show who belongs to the cluster, and how each member stands.");
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            using HengeClient client = globals.Connect(parse);
            Wire.TopologyResponse topology = await client.TopologyAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
            Wire.ClusterStatusResponse all = await client.ClusterStatusAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
            Dictionary<string, Wire.StatusResponse> status =
                all.Nodes.Where(static n => n.Status is not null).ToDictionary(static n => n.NodeId, static n => n.Status);
            if (globals.IsJson(parse))
            {
                JsonForm.WriteLine(context.Output, json =>
                    json.WriteObjects("nodes", topology.Nodes, node => Write(json, node, status.GetValueOrDefault(node.NodeId))));
                return ExitCode.Ok;
            }

            Table table = new Table("NODE", "NUMBER", "STATE", "ZONE", "WEIGHT", "ADDRESS", "VERSION", "UP", "SHARDS", "LEADS")
                .AlignRight(1, 4, 7, 8, 9);
            foreach (Wire.NodeInfo node in topology.Nodes)
            {
                Wire.StatusResponse? known = status.GetValueOrDefault(node.NodeId);
                table.Add(
                    node.NodeId,
                    Number(node.Number),
                    known is null ? node.State + ", down" : node.State,
                    node.Zone.Length > 0 ? node.Zone : "-",
                    Number(node.Weight),
                    node.Address,
                    known?.Version ?? "",
                    known is null ? "" : TextForm.OfDuration(TimeSpan.FromMilliseconds(known.UptimeMs)),
                    known is null ? "" : Number((ulong)known.Shards.Count),
                    known is null ? "" : Number((ulong)LedBy(known)));
            }

            context.Output.Write(table.ToString());
            return ExitCode.Ok;
        });
        return command.WithExamples("henge cluster nodes", "henge cluster nodes --output json");
    }

    private static void Write(Utf8JsonWriter json, Wire.NodeInfo node, Wire.StatusResponse? status)
    {
        json.WriteString("id", node.NodeId);
        json.WriteNumber("number", node.Number);
        json.WriteString("state", node.State);
        json.WriteString("zone", node.Zone);
        json.WriteNumber("weight", node.Weight);
        json.WriteString("address", node.Address);
        json.WriteBoolean("up", status is not null);
        if (status is not null)
        {
            json.WriteString("version", status.Version);
            json.WriteNumber("uptime_ms", status.UptimeMs);
            json.WriteNumber("shards", status.Shards.Count);
            json.WriteNumber("leads", LedBy(status));
        }
    }

    private static int LedBy(Wire.StatusResponse status) => status.Shards.Count(static s => s.Role == "leader");

    private static string Number(ulong number) => number.ToString(CultureInfo.InvariantCulture);
}
