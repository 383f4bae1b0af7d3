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
            // Whoever watches goes on when the nodes that were named have left.
            using HengeClient client = globals.Connect(parse, shortLived: !parse.GetValue(watch));
            if (!parse.GetValue(watch))
            {
                ClusterState state = await AskAsync(client, parse.GetValue(one), cancellationToken).ConfigureAwait(false);
                var verdict = ClusterVerdict.Of(state);
                Write(context, json, state, parse.GetValue(shards), verdict);
                return verdict.Serves ? ExitCode.Ok : ExitCode.Unavailable;
            }

            StatusWatch live = new(context, json, parse.GetValue(shards), period);
            await live.RunAsync(token => AskAsync(client, parse.GetValue(one), token), cancellationToken).ConfigureAwait(false);
            return ExitCode.Ok;
        });
        return command.WithExamples("henge status", "henge status --shards", "henge status --watch --every 500ms");
    }

    private static async Task<ClusterState> AskAsync(HengeClient client, bool nodeOnly, CancellationToken cancellationToken)
    {
        Wire.StatusResponse own = await client.NodeStatusAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        if (nodeOnly)
        {
            return new ClusterState(own, null);
        }

        try
        {
            Wire.ClusterStatusResponse all = await client.ClusterStatusAsync(cancellationToken).ConfigureAwait(false);
            return new ClusterState(own, all, await TopologyAsync(client, cancellationToken).ConfigureAwait(false));
        }
        catch (UnsupportedFormatException)
        {
            // A node that offers only the key-value service still tells about itself.
            return new ClusterState(own, null);
        }
    }

    private static async Task<Wire.TopologyResponse?> TopologyAsync(HengeClient client, CancellationToken cancellationToken)
    {
        try
        {
            return await client.TopologyAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        }
        catch (Core.HengeException e) when (e.Code is Core.ErrorCode.Unavailable or Core.ErrorCode.DeadlineExceeded
            or Core.ErrorCode.UnsupportedFormat)
        {
            // A node of a cluster that has no majority yet; what the nodes say of themselves is there all the same.
            return null;
        }
    }

    /// <summary>Prints what was learnt: the seed's two lines, the verdict, the tables.</summary>
    internal static void Write(
        CliContext context,
        bool json,
        ClusterState state,
        bool shards,
        ClusterVerdict verdict,
        StatusRates? rates = null)
    {
        (Wire.StatusResponse own, Wire.ClusterStatusResponse? all, _) = state;
        if (json)
        {
            StatusJson.Write(context.Output, state, verdict);
            return;
        }

        context.Output.WriteLine(
            $"Node: {own.NodeId} | Role: {own.Role} | Term: {own.Term} | Leader: {(own.LeaderId.Length > 0 ? own.LeaderId : "-")}");
        context.Output.WriteLine(
            $"Committed: {own.CommittedIndex} | Applied: {own.AppliedIndex} | Peers: [{string.Join(", ", own.Peers)}]");
        context.Output.WriteLine(Colour(context, verdict, $"Cluster: {verdict.Word} | {verdict.Reason}"));
        StatusWarnings.Write(context.Output, own, all);
        if (all is { Nodes.Count: > 0 })
        {
            context.Output.WriteLine();
            context.Output.Write(StatusTables.Nodes(all, state, rates));
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
