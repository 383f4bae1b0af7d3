using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Client;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary><c>henge cluster recover</c>: what is done when majorities are lost for ever.</summary>
internal static class ClusterRecoverCommand
{
    private static readonly TimeSpan LongEnough = TimeSpan.FromSeconds(90);

    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Option<bool> plan = new("--plan") { Description = "Only show what can be had from the nodes that answer, and what may be lost." };
        Option<bool> apply = new("--apply") { Description = "Carry a plan out that was shown. The nodes that it calls lost are given up." };
        Option<string?> confirmed = new("--yes-lose-data")
        {
            Description = "The id of the plan, as --plan has shown it: you accept what it loses.",
            HelpName = "plan",
        };
        Option<int[]> startEmpty = new("--start-empty")
        {
            Description = "A shard that begins empty if nothing is left of it; may be repeated.",
            HelpName = "number",
            AllowMultipleArgumentsPerToken = true,
        };
        Command command = new(
            "recover",
            "Go on from the nodes that are left, after a majority of replicas is lost for ever. May lose acknowledged writes.")
        {
            plan, apply, confirmed, startEmpty,
        };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            string id = parse.GetValue(confirmed) ?? "";
            if (parse.GetValue(plan) == parse.GetValue(apply))
            {
                throw new UsageException("Say --plan to see what can be had, or --apply --yes-lose-data PLAN to do it.");
            }

            if (parse.GetValue(plan) && id.Length > 0)
            {
                throw new UsageException("--yes-lose-data belongs to --apply. Nothing was done.");
            }

            if (parse.GetValue(apply) && id.Length == 0)
            {
                throw new UsageException(
                    "--apply may lose acknowledged writes for ever. Look at the plan with --plan, and say --yes-lose-data with its id. "
                        + "Nothing was done.");
            }

            Wire.RecoverRequest request = new() { ApplyPlanId = id };
            request.StartEmpty.AddRange((parse.GetValue(startEmpty) ?? []).Select(static s => s >= 0
                ? (uint)s
                : throw new UsageException("--start-empty: shards are counted from 0.")));
            string[] peers = globals.PeerList(parse);
            request.Addresses.AddRange(peers);
            using HengeClient client = globals.Connect(parse);
            Wire.RecoverResponse answer = await client
                .RecoverAsync(request, globals.Timeout(parse) ?? LongEnough, cancellationToken).ConfigureAwait(false);
            if (globals.IsJson(parse))
            {
                RecoveryReport.WriteJson(context.Output, answer);
            }
            else
            {
                RecoveryReport.Write(
                    context.Output,
                    answer,
                    string.Concat(request.StartEmpty.Select(static s => $"--start-empty {s} ")) + "--peers " + string.Join(',', peers));
            }

            return answer.Refusal.Length > 0 ? ExitCode.Refused
                : answer.Done || (answer.LosesNothing && answer.Problems.Count == 0) ? ExitCode.Ok
                : ExitCode.No;
        });
        return command.WithExamples(
            "henge cluster recover --plan --peers host1:7001,host2:7001",
            "henge cluster recover --apply --yes-lose-data 5f0c3a9b12de --peers host1:7001,host2:7001");
    }
}
