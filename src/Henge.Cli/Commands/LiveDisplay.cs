using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Core;

namespace Henge.Cli.Commands;

/// <summary>The same shown again and again, with a clock: until Ctrl-C, and also while no node answers.</summary>
internal static class LiveDisplay
{
    /// <summary>Runs until cancelled.</summary>
    /// <param name="context">Where it is shown.</param>
    /// <param name="json">As JSON lines, without a clock.</param>
    /// <param name="period">How often.</param>
    /// <param name="ask">Asks the cluster, and gives what shows the answer.</param>
    /// <param name="cancellationToken">The end.</param>
    public static async Task RunAsync(
        CliContext context,
        bool json,
        TimeSpan period,
        Func<CancellationToken, Task<Action>> ask,
        CancellationToken cancellationToken)
    {
        if (period < TimeSpan.FromMilliseconds(50))
        {
            throw new UsageException("--every must be at least 50ms.");
        }

        while (true)
        {
            try
            {
                Action show = await ask(cancellationToken).ConfigureAwait(false);
                Begin(context, json);
                show();
            }
            catch (HengeException e) when (e.Code is ErrorCode.Unavailable or ErrorCode.DeadlineExceeded)
            {
                // What a user watches for: the cluster may be gone for a while.
                Begin(context, json);
                if (json)
                {
                    context.Error.WriteLine(e.Message);
                }
                else
                {
                    context.Output.WriteLine(e.Message);
                }
            }

            context.Output.Flush();
            await Task.Delay(period, context.Time, cancellationToken).ConfigureAwait(false);
        }
    }

    private static void Begin(CliContext context, bool json)
    {
        if (json)
        {
            return;
        }

        if (context.OutputIsTerminal)
        {
            context.Output.Write("\u001b[H\u001b[2J");
        }

        context.Output.WriteLine(TextForm.OfTime(context.Time.GetUtcNow()));
    }
}
