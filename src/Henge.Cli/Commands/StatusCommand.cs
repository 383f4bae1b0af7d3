using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Cli.Parsing;
using Henge.Client;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary><c>henge status</c>.</summary>
internal static class StatusCommand
{
    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Option<bool> watch = new("--watch", "-w") { Description = "Refresh until Ctrl-C." };
        Option<string> every = CommandExtensions.OptionOf("--every", "With --watch: how often.", "time", "1s");
        Option<bool> shards = new("--shards") { Description = "Also show every shard." };
        Option<bool> one = new("--node-only") { Description = "Ask only the first node that answers, about itself." };
        Command command = new("status", "Show the state of the nodes, and whether the cluster serves.") { watch, every, shards, one };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            TimeSpan period = Durations.Parse(parse.GetRequiredValue(every));
            bool json = globals.IsJson(parse);
            using HengeClient client = globals.Connect(parse);
            if (!parse.GetValue(watch))
            {
                (Wire.StatusResponse own, Wire.ClusterStatusResponse? all) = await AskAsync(client, parse.GetValue(one),
                    cancellationToken).ConfigureAwait(false);
                var verdict = ClusterVerdict.Of(own, all);
                Write(context, json, own, all, parse.GetValue(shards), verdict);
                return verdict.Serves ? ExitCode.Ok : ExitCode.Unavailable;
            }

            StatusWatch live = new(context, json, parse.GetValue(shards), period);
            await live.RunAsync(token => AskAsync(client, parse.GetValue(one), token), cancellationToken).ConfigureAwait(false);
            return ExitCode.Ok;
        });
        return command.WithExamples("henge status", "henge status --shards", "henge status --watch --every 500ms");
    }

    private static async Task<(Wire.StatusResponse Own, Wire.ClusterStatusResponse? All)> AskAsync(
        HengeClient client, bool nodeOnly, CancellationToken cancellationToken)
    {
        Wire.StatusResponse own = await client.NodeStatusAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        if (nodeOnly)
        {
            return (own, null);
        }

        try
        {
            return (own, await client.ClusterStatusAsync(cancellationToken).ConfigureAwait(false));
        }
        catch (UnsupportedFormatException)
        {
            // A node that offers only the key-value service still tells about itself.
            return (own, null);
        }
    }

    /// <summary>Prints what was learnt: the seed's two lines, the verdict, the tables.</summary>
    internal static void Write(
        CliContext context,
        bool json,
        Wire.StatusResponse own,
        Wire.ClusterStatusResponse? all,
        bool shards,
        ClusterVerdict verdict,
        StatusRates? rates = null)
    {
        if (json)
        {
            StatusJson.Write(context.Output, own, all, verdict);
            return;
        }

        context.Output.WriteLine(
            $"Node: {own.NodeId} | Role: {own.Role} | Term: {own.Term} | Leader: {(own.LeaderId.Length > 0 ? own.LeaderId : "-")}");
        context.Output.WriteLine(
            $"Committed: {own.CommittedIndex} | Applied: {own.AppliedIndex} | Peers: [{string.Join(", ", own.Peers)}]");
        context.Output.WriteLine(Colour(context, verdict, $"Cluster: {verdict.Word} | {verdict.Reason}"));
        ClockWarnings.Write(context.Output, own, all);
        if (all is { Nodes.Count: > 0 })
        {
            context.Output.WriteLine();
            context.Output.Write(StatusTables.Nodes(all, rates));
            foreach (string problem in StatusTables.Problems(all))
            {
                context.Output.WriteLine(problem);
            }

            if (shards)
            {
                context.Output.WriteLine();
                context.Output.Write(StatusTables.Shards(all));
            }
        }
        else if (shards)
        {
            context.Output.WriteLine();
            Wire.ClusterStatusResponse alone = new();
            alone.Nodes.Add(new Wire.ClusterStatusResponse.Types.Node { NodeId = own.NodeId, Address = own.Address, Status = own });
            context.Output.Write(StatusTables.Shards(alone));
        }
    }

    private static string Colour(CliContext context, ClusterVerdict verdict, string text) =>
        !context.OutputIsTerminal || context.Environment("NO_COLOR") is { Length: > 0 }
            ? text
            : (verdict.Serves ? verdict.Whole ? "\u001b[32m" : "\u001b[33m" : "\u001b[31m") + text + "\u001b[0m";
}
