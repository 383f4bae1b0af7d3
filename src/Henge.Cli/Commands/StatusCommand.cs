using System.CommandLine;
using Henge.Client;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli;

/// <summary><c>henge status</c>.</summary>
internal static class StatusCommand
{
    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Option<bool> watch = new("--watch", "-w") { Description = "Refresh until Ctrl-C." };
        Option<string> every = new("--every") { Description = "With --watch: how often.", HelpName = "time", DefaultValueFactory = _ => "1s" };
        Option<bool> shards = new("--shards") { Description = "Also show every shard." };
        Option<bool> one = new("--node-only") { Description = "Ask only the first node that answers, about itself." };
        Command command = new("status", "Show the state of the nodes.") { watch, every, shards, one };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            TimeSpan period = Durations.Parse(parse.GetRequiredValue(every));
            bool json = globals.IsJson(parse);
            using HengeClient client = globals.Connect(parse);
            if (!parse.GetValue(watch))
            {
                (Wire.StatusResponse own, Wire.ClusterStatusResponse? all) = await AskAsync(client, parse.GetValue(one), cancellationToken).ConfigureAwait(false);
                Write(context, json, own, all, parse.GetValue(shards));
                return ExitCode.Ok;
            }

            await WatchAsync(context, client, json, parse.GetValue(one), parse.GetValue(shards), period, cancellationToken).ConfigureAwait(false);
            return ExitCode.Ok;
        });
        return command.WithExamples("henge status", "henge status --shards", "henge status --watch --every 500ms");
    }

    private static async Task WatchAsync(
        CliContext context, HengeClient client, bool json, bool nodeOnly, bool shards, TimeSpan period, CancellationToken cancellationToken)
    {
        if (period < TimeSpan.FromMilliseconds(50))
        {
            throw new UsageException("--every must be at least 50ms.");
        }

        while (true)
        {
            try
            {
                (Wire.StatusResponse own, Wire.ClusterStatusResponse? all) = await AskAsync(client, nodeOnly, cancellationToken).ConfigureAwait(false);
                Clear(context);
                Write(context, json, own, all, shards);
            }
            catch (HengeException e) when (e.Code is ErrorCode.Unavailable or ErrorCode.DeadlineExceeded)
            {
                // What a user watches for: the cluster may be gone for a while.
                Clear(context);
                context.Output.WriteLine($"{TextForm.OfTime(context.Time.GetUtcNow())}  {e.Message}");
            }

            context.Output.Flush();
            await Task.Delay(period, context.Time, cancellationToken).ConfigureAwait(false);
        }
    }

    private static void Clear(CliContext context)
    {
        if (context.OutputIsTerminal)
        {
            context.Output.Write("\u001b[H\u001b[2J");
        }
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

    private static void Write(CliContext context, bool json, Wire.StatusResponse own, Wire.ClusterStatusResponse? all, bool shards)
    {
        if (json)
        {
            StatusJson.Write(context.Output, own, all);
            return;
        }

        context.Output.WriteLine($"Node: {own.NodeId} | Role: {own.Role} | Term: {own.Term} | Leader: {(own.LeaderId.Length > 0 ? own.LeaderId : "-")}");
        context.Output.WriteLine($"Committed: {own.CommittedIndex} | Applied: {own.AppliedIndex} | Peers: [{string.Join(", ", own.Peers)}]");
        if (all is { Nodes.Count: > 0 })
        {
            context.Output.WriteLine();
            context.Output.Write(StatusTables.Nodes(all));
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
}
