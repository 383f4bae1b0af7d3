using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary><c>henge status --watch</c>: the same, again and again, with a clock and with what happens in a second.</summary>
internal sealed class StatusWatch(CliContext context, bool json, bool shards, TimeSpan period)
{
    private readonly StatusRates _rates = new();

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(
        Func<CancellationToken, Task<(Wire.StatusResponse Own, Wire.ClusterStatusResponse? All)>> ask, CancellationToken cancellationToken)
    {
        if (period < TimeSpan.FromMilliseconds(50))
        {
            throw new UsageException("--every must be at least 50ms.");
        }

        while (true)
        {
            try
            {
                (Wire.StatusResponse own, Wire.ClusterStatusResponse? all) = await ask(cancellationToken).ConfigureAwait(false);
                if (all is not null)
                {
                    _rates.Update(all);
                }

                Begin();
                StatusCommand.Write(context, json, own, all, shards, ClusterVerdict.Of(own, all), _rates);
            }
            catch (HengeException e) when (e.Code is ErrorCode.Unavailable or ErrorCode.DeadlineExceeded)
            {
                // What a user watches for: the cluster may be gone for a while.
                Begin();
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

    private void Begin()
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
