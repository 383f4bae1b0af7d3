using System.Globalization;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Output;

/// <summary>What a recovery comes to, for people and for programs.</summary>
internal static class RecoveryReport
{
    private const uint Catalog = 0x3FFF_FFFF;

    /// <summary>Writes it.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="recovery">The answer.</param>
    /// <param name="options">What the command that carries it out has to say as well.</param>
    public static void Write(OutputWriter output, Wire.RecoverResponse recovery, string options)
    {
        if (recovery.Refusal.Length > 0)
        {
            output.WriteLine("Refused: " + recovery.Refusal);
            WriteShards(output, recovery);
            return;
        }

        output.WriteLine($"Left: {Names(recovery.Survivors)}.");
        output.WriteLine($"Lost: {Names(recovery.Lost)}.");
        if (!recovery.Done)
        {
            output.WriteLine("Is that so? A node that is called lost is given up for ever when the plan is carried out, with all that");
            output.WriteLine("only it has. If one can be started or reached again, do that first, and make a new plan. Lost nodes must");
            output.WriteLine("never be started again: several of them, without the others, would take themselves for the cluster.");
        }

        output.WriteLine();
        WriteShards(output, recovery);
        foreach (string problem in recovery.Problems)
        {
            output.WriteLine("PROBLEM: " + problem);
        }

        if (recovery.Done)
        {
            output.WriteLine($"Plan {recovery.PlanId} is carried out. New replicas are made where there are nodes for them, which");
            output.WriteLine("henge cluster moves shows. Never start the lost nodes again with their old directories.");
            return;
        }

        output.WriteLine(recovery.LosesNothing
            ? "No acknowledged write is lost by it."
            : "LOSS: writes that were acknowledged after what is kept are lost by it, if there were any.");
        output.WriteLine($"This is plan {recovery.PlanId}. Nothing was done. To carry it out:");
        output.WriteLine($"henge cluster recover --apply --yes-lose-data {recovery.PlanId} {options}");
    }

    /// <summary>The same as one line of JSON.</summary>
    public static void WriteJson(OutputWriter output, Wire.RecoverResponse recovery) => JsonForm.WriteLine(output, json =>
    {
        json.WriteString("plan", recovery.PlanId);
        json.WriteBoolean("done", recovery.Done);
        json.WriteString("refusal", recovery.Refusal);
        json.WriteBoolean("loses_nothing", recovery.LosesNothing);
        json.WriteList("left", recovery.Survivors, json.WriteStringValue);
        json.WriteList("lost", recovery.Lost, json.WriteStringValue);
        json.WriteObjects("shards", recovery.Shards, shard =>
        {
            json.WriteString("shard", NameOf(shard.Shard));
            json.WriteString("state", shard.Kind);
            json.WriteString("action", shard.Action);
            json.WriteString("from", shard.FromId);
            json.WriteNumber("certain_version", shard.CertainVersion);
            json.WriteNumber("kept_version", shard.KeptVersion);
            json.WriteNumber("kept_entry", shard.KeptEntry);
            json.WriteNumber("certainly_lost", shard.CertainlyLost);
            json.WriteList("lost_replicas", shard.Lost, json.WriteStringValue);
        });
        json.WriteList("problems", recovery.Problems, json.WriteStringValue);
    });

    private static void WriteShards(OutputWriter output, Wire.RecoverResponse recovery)
    {
        if (recovery.Shards.Count == 0)
        {
            return;
        }

        Table table = new Table(
            "SHARD", "STATE", "CERTAIN TO VERSION", "KEPT TO VERSION", "ENTRY", "LOST ENTRIES", "LOST REPLICAS", "DONE ABOUT IT")
            .AlignRight(2, 3, 4);
        foreach (Wire.ShardRecovery shard in recovery.Shards)
        {
            bool isServing = shard.Kind == "Serving";
            table.Add(
                NameOf(shard.Shard),
                shard.Kind switch
                {
                    "Serving" => "has a majority",
                    "Complete" => "complete",
                    "MayLose" => "may lose writes",
                    "Gone" => "gone",
                    _ => "",
                },
                isServing || shard.Kind.Length == 0 ? "" : Number(shard.CertainVersion),
                isServing ? "" : Number(shard.KeptVersion),
                isServing ? "" : Number(shard.KeptEntry),
                isServing || shard.Kind.Length == 0 ? ""
                    : shard.Kind == "Gone" ? "all"
                    : shard.Kind == "Complete" && shard.CertainlyLost == 0 ? "none"
                    : shard.CertainlyLost > 0 ? $"{Number(shard.CertainlyLost)} or more"
                    : "not known",
                isServing ? "" : string.Join(' ', shard.Lost),
                shard.FromId.Length > 0 ? $"{shard.Action}, from {shard.FromId}" : shard.Action);
        }

        output.Write(table.ToString());
        output.WriteLine();
    }

    private static string NameOf(uint shard) =>
        shard == Catalog ? "catalog" : "s" + shard.ToString(CultureInfo.InvariantCulture);

    private static string Number(ulong number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Names(IReadOnlyCollection<string> names) => names.Count > 0 ? string.Join(", ", names) : "none";
}
