using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Client;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary>Asks for a change of the cluster, shows what it comes to, and waits until it is finished if that was asked for.</summary>
internal sealed class ClusterChangeRun(CliContext context, GlobalOptions globals, ParseResult parse, ChangeOptions options)
{
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(250);

    private bool IsDryRun => parse.GetValue(options.DryRun);

    private bool Waits => options.Wait is not null && parse.GetValue(options.Wait) && !IsDryRun;

    /// <summary>Runs it.</summary>
    /// <param name="change">What is wanted.</param>
    /// <param name="headline">What is said when it is done.</param>
    /// <param name="goal">What is waited for; null for what the plan comes to.</param>
    /// <param name="cancellationToken">The end.</param>
    public async Task<int> RunAsync(
        Wire.ChangeRequest change,
        Func<Wire.ChangeResponse, string> headline,
        WaitGoal? goal,
        CancellationToken cancellationToken)
    {
        bool json = globals.IsJson(parse);
        change.DryRun = IsDryRun;
        change.Force = options.Force is not null && parse.GetValue(options.Force);
        using HengeClient client = globals.Connect(parse);
        Wire.PlacementResponse? before = Waits ? await client.PlacementAsync(cancellationToken).ConfigureAwait(false) : null;
        Wire.ChangeResponse answer = await client.ChangeClusterAsync(change, cancellationToken).ConfigureAwait(false);
        if (json)
        {
            ChangeReport.WriteJson(context.Output, answer);
        }
        else
        {
            ChangeReport.Write(context.Output, headline(answer), answer, IsDryRun);
        }

        context.Output.Flush();
        if (answer.Refusal.Length > 0)
        {
            return ExitCode.Refused;
        }

        if (before is not null && (goal is not null || answer.Copies + answer.Removals + answer.LeaderChanges > 0))
        {
            await WaitAsync(goal ?? WaitGoal.Settled(before.Generation), before, json, cancellationToken).ConfigureAwait(false);
        }

        return ExitCode.Ok;
    }

    private async Task WaitAsync(WaitGoal goal, Wire.PlacementResponse before, bool json, CancellationToken cancellationToken)
    {
        // The node that was asked may be the one that goes.
        using HengeClient client = globals.Connect(
            parse,
            others: before.Members.Where(static m => m.State != "left").Select(static m => m.Address));
        Wire.PlacementResponse now = before;
        await using (WaitProgress progress = new(context, () => (goal.LeftOf(now), goal.Describe(now))))
        {
            do
            {
                await Task.Delay(BetweenLooks, context.Time, cancellationToken).ConfigureAwait(false);
                try
                {
                    now = await client.PlacementAsync(cancellationToken).ConfigureAwait(false);
                }
                catch (HengeException e) when (e.Code is ErrorCode.Unavailable or ErrorCode.DeadlineExceeded)
                {
                    // It goes on without us; the next look may find somebody.
                }
            }
            while (goal.LeftOf(now) > 0 || now == before);
        }

        if (json)
        {
            JsonForm.WriteLine(context.Output, static j => j.WriteBoolean("finished", true));
        }
        else
        {
            context.Output.WriteLine(goal.Done);
        }
    }
}
