using System.Globalization;
using System.Text.Json;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Output;

/// <summary>What a change of the cluster comes to, for people and for programs.</summary>
internal static class ChangeReport
{
    /// <summary>Writes it.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="headline">What was done, in a sentence.</param>
    /// <param name="change">The answer.</param>
    /// <param name="dryRun">Nothing was done.</param>
    public static void Write(OutputWriter output, string headline, Wire.ChangeResponse change, bool dryRun)
    {
        output.WriteLine(dryRun ? "Nothing is changed: this is a dry run." : headline);
        if (change.Refusal.Length > 0)
        {
            output.WriteLine("It would be refused. " + change.Refusal);
        }

        foreach (string loss in change.Losses)
        {
            output.WriteLine("LOSS: " + loss);
        }

        int copies = (int)change.Copies, removals = (int)change.Removals, leaders = (int)change.LeaderChanges;
        if (copies + removals + leaders > 0)
        {
            output.WriteLine(
                $"{ClusterView.Count(copies, "replica")} to make, {removals} to give up; "
                    + $"{ClusterView.Count(leaders, "shard")} to be led by another node.");
        }
        else
        {
            output.WriteLine("No replica moves.");
        }

        if (change.Loads.Count > 0)
        {
            output.WriteLine();
            Table table = new Table("NODE", "REPLICAS", "THEN", "FAIR", "LEADS THEN").AlignRight(1, 2, 3, 4);
            foreach (Wire.NodeLoad load in change.Loads)
            {
                table.Add(
                    load.NodeId,
                    Number(load.Before),
                    Number(load.After),
                    load.Fair.ToString("0.0", CultureInfo.InvariantCulture),
                    Number(load.Leads));
            }

            output.Write(table.ToString());
        }

        if (change.Refusal.Length == 0)
        {
            WriteProblems(output, change.Problems);
        }
    }

    /// <summary>What has no place, a line each.</summary>
    public static void WriteProblems(OutputWriter output, IEnumerable<Wire.PlacementProblem> problems)
    {
        foreach (Wire.PlacementProblem problem in problems)
        {
            output.WriteLine($"{problem.Kind}: {problem.Text}");
        }
    }

    /// <summary>The same as one line of JSON.</summary>
    public static void WriteJson(OutputWriter output, Wire.ChangeResponse change) => JsonForm.WriteLine(output, json =>
    {
        json.WriteBoolean("done", change.Done);
        json.WriteString("state", change.State);
        json.WriteString("refusal", change.Refusal);
        json.WriteList("losses", change.Losses, json.WriteStringValue);
        json.WriteNumber("copies", change.Copies);
        json.WriteNumber("removals", change.Removals);
        json.WriteNumber("leader_changes", change.LeaderChanges);
        json.WriteObjects("nodes", change.Loads, load =>
        {
            json.WriteString("id", load.NodeId);
            json.WriteNumber("replicas", load.Before);
            json.WriteNumber("replicas_then", load.After);
            json.WriteNumber("fair", Math.Round(load.Fair, 2));
            json.WriteNumber("leads_then", load.Leads);
        });
        WriteProblems(json, change.Problems);
    });

    /// <summary>The same of what has no place.</summary>
    public static void WriteProblems(Utf8JsonWriter json, IEnumerable<Wire.PlacementProblem> problems) =>
        json.WriteObjects("problems", problems, problem =>
        {
            json.WriteString("kind", problem.Kind);
            json.WriteList("shards", problem.Shards, json.WriteNumberValue);
            json.WriteList("nodes", problem.Nodes, json.WriteStringValue);
            json.WriteString("text", problem.Text);
        });

    private static string Number(uint number) => number.ToString(CultureInfo.InvariantCulture);
}
