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
            Wire.PlacementResponse? placement = await ClusterView.TryReadAsync(client, cancellationToken).ConfigureAwait(false);
            Row[] rows = [.. topology.Nodes.Select(node => new Row(node, all, placement))];
            if (globals.IsJson(parse))
            {
                JsonForm.WriteLine(context.Output, json => json.WriteObjects("nodes", rows, row => row.Write(json)));
                return ExitCode.Ok;
            }

            Table table = new Table(
                "NODE", "NUMBER", "STATE", "ZONE", "WEIGHT", "ADDRESS", "SHARDS", "PLAN", "LEADS", "DATA", "LOG", "VERSION", "UP")
                .AlignRight(1, 4, 6, 7, 8, 9, 10, 12);
            foreach (Row row in rows)
            {
                table.Add(row.Cells());
            }

            context.Output.Write(table.ToString());
            foreach (string line in rows.SelectMany(static r => r.Remarks()))
            {
                context.Output.WriteLine(line);
            }

            return ExitCode.Ok;
        });
        return command.WithExamples("henge cluster nodes", "henge cluster nodes --output json");
    }

    private sealed class Row(Wire.NodeInfo node, Wire.ClusterStatusResponse all, Wire.PlacementResponse? placement)
    {
        private readonly Wire.ClusterStatusResponse.Types.Node? _asked = all.Nodes.FirstOrDefault(n => n.NodeId == node.NodeId);

        private Wire.StatusResponse? Status => _asked?.Status;

        // What the leaders of shards say; what the node says itself where these are not known.
        private int? Shards =>
            placement is { Shards.Count: > 0 } ? ClusterView.CarriedBy(placement, node.NodeId)
            : Status is { } status ? status.Shards.Count
            : null;

        private int? Planned => placement is { Shards.Count: > 0 }
            ? placement.Shards.Count(s => s.Planned.Contains(node.NodeId))
            : null;

        private int? Led => Status?.Shards.Count(static s => s.Role == "leader");

        private ulong? Data => Status?.Engine is { } engine ? engine.MemtableBytes + engine.TableBytes : null;

        private bool Votes => placement?.CatalogVoters.Contains(node.NodeId) == true;

        public string[] Cells() =>
        [
            node.NodeId,
            Number(node.Number),
            Status is null ? node.State + ", down" : node.State,
            node.Zone.Length > 0 ? node.Zone : "-",
            Number(node.Weight),
            node.Address,
            Number(Shards),
            Number(Planned),
            Number(Led),
            Size(Data),
            Size(Status?.Log?.Bytes),
            Status?.Version.Split('+')[0] ?? "",
            Status is null ? "" : TextForm.OfDuration(TimeSpan.FromMilliseconds(Status.UptimeMs)),
        ];

        /// <summary>What is the matter with it, where something is.</summary>
        public IEnumerable<string> Remarks()
        {
            if (Status is null && _asked is { Error.Length: > 0 })
            {
                yield return $"{node.NodeId} is down: {_asked.Error}";
            }

            if (node.State == "leaving" && placement is not null)
            {
                yield return $"{node.NodeId} is leaving: {ClusterView.DescribeLeaving(placement, node.NodeId)}";
            }
        }

        public void Write(Utf8JsonWriter json)
        {
            json.WriteString("id", node.NodeId);
            json.WriteNumber("number", node.Number);
            json.WriteString("state", node.State);
            json.WriteString("zone", node.Zone);
            json.WriteNumber("weight", node.Weight);
            json.WriteString("address", node.Address);
            json.WriteBoolean("up", Status is not null);
            json.WriteBoolean("catalog_voter", Votes);
            Write(json, "shards", Shards);
            Write(json, "planned_shards", Planned);
            Write(json, "leads", Led);
            Write(json, "data_bytes", Data);
            Write(json, "log_bytes", Status?.Log?.Bytes);
            if (Status is { } status)
            {
                json.WriteString("version", status.Version);
                json.WriteNumber("uptime_ms", status.UptimeMs);
            }
        }

        private static void Write(Utf8JsonWriter json, string name, long? number)
        {
            if (number is { } known)
            {
                json.WriteNumber(name, known);
            }
        }

        private static void Write(Utf8JsonWriter json, string name, ulong? number) => Write(json, name, (long?)number);
    }

    private static string Number(long? number) => number?.ToString(CultureInfo.InvariantCulture) ?? "";

    private static string Number(ulong number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Size(ulong? bytes) => bytes is { } known ? TextForm.OfSize(known) : "";
}
