using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Cli.Parsing;
using Henge.Client;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary><c>henge cluster moves</c>: shards on their way to where the plan has them.</summary>
internal static class ClusterMovesCommand
{
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(500);

    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Option<bool> watch = new("--watch", "-w") { Description = "Refresh until Ctrl-C." };
        Option<string> every = CommandExtensions.OptionOf("--every", "With --watch: how often.", "time", "1s");
        Command command = new("moves", "Show which shards move, how far they are, what they wait for, and what has no place.")
        {
            watch,
            every,
        };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            TimeSpan period = Durations.Parse(parse.GetRequiredValue(every));
            bool json = globals.IsJson(parse);
            using HengeClient client = globals.Connect(parse);
            MovesReport report = new(context.Time);
            if (parse.GetValue(watch))
            {
                await LiveDisplay
                    .RunAsync(
                        context,
                        json,
                        period,
                        async token =>
                        {
                            Wire.PlacementResponse now = await client.PlacementAsync(token).ConfigureAwait(false);
                            report.Take(now);
                            return () => Write(context, report, json, now);
                        },
                        cancellationToken)
                    .ConfigureAwait(false);
                return ExitCode.Ok;
            }

            Wire.PlacementResponse placement = await client.PlacementAsync(cancellationToken).ConfigureAwait(false);
            report.Take(placement);
            if (placement.Moves.Count > 0)
            {
                // A rate needs two looks.
                await Task.Delay(BetweenLooks, context.Time, cancellationToken).ConfigureAwait(false);
                placement = await client.PlacementAsync(cancellationToken).ConfigureAwait(false);
                report.Take(placement);
            }

            Write(context, report, json, placement);
            return ExitCode.Ok;
        });
        return command.WithExamples(
            "henge cluster moves",
            "henge cluster moves --watch --every 500ms",
            "henge cluster moves --output json");
    }

    private static void Write(CliContext context, MovesReport report, bool json, Wire.PlacementResponse placement)
    {
        if (json)
        {
            report.WriteJson(context.Output, placement);
        }
        else
        {
            report.Write(context.Output, placement);
        }
    }
}
