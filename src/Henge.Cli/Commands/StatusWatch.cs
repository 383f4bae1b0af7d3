using Henge.Cli.Context;
using Henge.Cli.Output;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary><c>henge status --watch</c>: the same, again and again, with a clock and with what happens in a second.</summary>
internal sealed class StatusWatch(CliContext context, bool json, bool shards, TimeSpan period)
{
    private readonly StatusRates _rates = new();

    /// <summary>Runs until cancelled.</summary>
    public Task RunAsync(
        Func<CancellationToken, Task<(Wire.StatusResponse Own, Wire.ClusterStatusResponse? All)>> ask,
        CancellationToken cancellationToken) =>
        LiveDisplay.RunAsync(
            context,
            json,
            period,
            async token =>
            {
                (Wire.StatusResponse own, Wire.ClusterStatusResponse? all) = await ask(token).ConfigureAwait(false);
                if (all is not null)
                {
                    _rates.Update(all);
                }

                return () => StatusCommand.Write(context, json, own, all, shards, ClusterVerdict.Of(own, all), _rates);
            },
            cancellationToken);
}
