using System.Globalization;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Output;

/// <summary>Nodes and shards as tables.</summary>
internal static class StatusTables
{
    /// <summary>One row for each node.</summary>
    /// <param name="all">The nodes.</param>
    /// <param name="state">How members stand is shown in a column when not all of them are up.</param>
    /// <param name="rates">Entries that each has applied and syncs that it has made in a second, for a column each; null: none.</param>
    public static string Nodes(Wire.ClusterStatusResponse all, ClusterState state, StatusRates? rates = null)
    {
        Dictionary<uint, ulong> commits = Commits(all);
        bool hasStates = all.Nodes.Any(n => state.StateOf(n.NodeId) is not ("" or "up"));
        string[] stateHeader = hasStates ? ["STATE"] : [];
        string[] rateHeaders = rates is null ? [] : ["APPLIED/s", "SYNCS/s"];
        Table table = new([
            "NODE",
            "ADDRESS",
            "ROLE",
            "LEADS",
            "TERM",
            "COMMITTED",
            "APPLIED",
            "LAG",
            "LOG",
            "ENGINE",
            "UP",
            .. rateHeaders,
            .. stateHeader,
        ]);
        table.AlignRight([3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        foreach (Wire.ClusterStatusResponse.Types.Node node in all.Nodes)
        {
            if (node.Status is not { } status)
            {
                // Why it is down stands below the table: a whole sentence in a cell would make every row as wide.
                table.Add([node.NodeId, node.Address, "down", "", "", "", "", "", "", "", "",
                    .. rateHeaders.Select(static _ => ""), .. StateOf(node.NodeId)]);
                continue;
            }

            ulong lag = 0;
            foreach (Wire.ShardStatus shard in status.Shards)
            {
                lag +=
                    commits.GetValueOrDefault(shard.Shard) is var commit && commit > shard.AppliedIndex ? commit - shard.AppliedIndex : 0;
            }

            table.Add(
            [
                status.NodeId,
                node.Address,
                status.Shards.Count == 0 ? "no shards" : status.Role,
                $"{status.Shards.Count(s => s.Role == "leader")}/{status.Shards.Count}",
                Number(status.Term),
                Number(status.CommittedIndex),
                Number(status.AppliedIndex),
                Number(lag),
                status.Log is { } log ? TextForm.OfSize(log.Bytes) : "",
                status.Engine is { } engine ? TextForm.OfSize(engine.MemtableBytes + engine.TableBytes) : "",
                TextForm.OfDuration(TimeSpan.FromMilliseconds(status.UptimeMs)),
                .. rates is null ? [] : rates.Of(status),
                .. StateOf(node.NodeId),
            ]);
        }

        string[] StateOf(string name) => hasStates ? [state.StateOf(name)] : [];
        return table
            + string.Concat(
                all.Nodes.Where(static n => n.Status is not null)
                    .SelectMany(static n => n.Status.RefusedPeers.Select(r => $"{n.NodeId} refuses {r}\n")));
    }

    /// <summary>A line for each node that does not answer, and why.</summary>
    public static IEnumerable<string> Problems(Wire.ClusterStatusResponse all) =>
        all.Nodes.Where(static n => n.Status is null && n.Error.Length > 0).Select(static n => $"{n.NodeId} is down: {n.Error}");

    /// <summary>One row for each shard: as its leader sees it, and how far each node has applied it.</summary>
    public static string Shards(Wire.ClusterStatusResponse all)
    {
        Wire.ClusterStatusResponse.Types.Node[] nodes = [.. all.Nodes.Where(n => n.Status is not null)];
        Table table = new Table(["SHARD", "LEADER", "TERM", "COMMITTED", "LAST", .. nodes.Select(n => n.NodeId)]);
        table.AlignRight([0, 2, 3, 4, .. Enumerable.Range(5, nodes.Length)]);
        foreach (uint shard in nodes.SelectMany(n => n.Status.Shards).Select(s => s.Shard).Distinct().Order())
        {
            Wire.ShardStatus?[] replicas = [.. nodes.Select(n => n.Status.Shards.FirstOrDefault(s => s.Shard == shard))];
            int leading = Array.FindIndex(replicas, r => r?.Role == "leader");
            Wire.ShardStatus best = leading >= 0 ? replicas[leading]! : replicas.OfType<Wire.ShardStatus>().MaxBy(r => r.CommittedIndex)!;
            table.Add(
            [
                Number(shard),
                leading >= 0 ? nodes[leading].NodeId : "-",
                Number(best.Term),
                Number(best.CommittedIndex),
                Number(best.LastIndex),
                .. replicas.Select(r => r is null ? "-" : r.Error.Length > 0 ? "error: " + r.Error
                    : Number(r.AppliedIndex) + (r.Role == "learner" ? " learner" : "")),
            ]);
        }

        return table.ToString();
    }

    private static Dictionary<uint, ulong> Commits(Wire.ClusterStatusResponse all)
    {
        Dictionary<uint, ulong> commits = [];
        foreach (Wire.ShardStatus shard in all.Nodes.Where(n => n.Status is not null).SelectMany(n => n.Status.Shards))
        {
            commits[shard.Shard] = Math.Max(commits.GetValueOrDefault(shard.Shard), shard.CommittedIndex);
        }

        return commits;
    }

    private static string Number(ulong number) => number.ToString(CultureInfo.InvariantCulture);
}
