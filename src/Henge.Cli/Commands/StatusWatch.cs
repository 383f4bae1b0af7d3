using Henge.Cli.Context;
using Henge.Cli.Output;

namespace Henge.Cli.Commands;

/// <summary><c>henge status --watch</c>: the same, again and again, with a clock and with what happens in a second.</summary>
internal sealed class StatusWatch(CliContext context, bool json, bool shards, TimeSpan period)
{
    private readonly StatusRates _rates = new();

    /// <summary>Runs until cancelled.</summary>
    public Task RunAsync(
        Func<CancellationToken, Task<ClusterState>> ask,
        CancellationToken cancellationToken) =>
        LiveDisplay.RunAsync(
            context,
            json,
            period,
            async token =>
            {
                ClusterState state = await ask(token).ConfigureAwait(false);
                if (state.All is not null)
                {
                    _rates.Update(state.All);
                }

                return () => StatusCommand.Write(context, json, state, shards, ClusterVerdict.Of(state), _rates);
            },
            cancellationToken);
}
