using System.CommandLine;
using System.Globalization;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Cli.Parsing;
using Henge.Client;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary><c>henge cluster rebalance</c>, <c>set</c> and <c>settings</c>: what decides where replicas are to be.</summary>
internal static class ClusterPlanCommands
{
    private static readonly string[] KnownSettings =
    [
        "replication-factor", "replace-after", "down-after", "move-rate", "moves", "moves-per-member",
    ];

    public static Command Rebalance(CliContext context, GlobalOptions globals)
    {
        ChangeOptions options = new("Wait until every shard is where the plan has it.");
        Command command = new("rebalance", "Move replicas between nodes that stay, so that all carry their share and zones are spread.");
        options.AddTo(command);
        command.Do(context, globals, (parse, cancellationToken) =>
            new ClusterChangeRun(context, globals, parse, options).RunAsync(
                new Wire.ChangeRequest { Kind = Wire.ChangeRequest.Types.Kind.Rebalance },
                change => change.Copies + change.Removals + change.LeaderChanges > 0
                    ? "The cluster is rebalanced. henge cluster moves shows how far it is."
                    : "There is nothing to rebalance.",
                null,
                cancellationToken));
        return command.WithExamples("henge cluster rebalance --dry-run", "henge cluster rebalance --wait");
    }

    public static Command Set(CliContext context, GlobalOptions globals)
    {
        Argument<string> name = new("name") { Description = "A setting; henge cluster settings lists them.", HelpName = "name" };
        name.CompletionSources.Add(KnownSettings);
        Argument<string> value = new("value") { Description = "Its value; default: what it is when nobody sets it.", HelpName = "value" };
        ChangeOptions options = new("Wait until every shard is where the plan has it.");
        Command command = new("set", "Change a setting of the cluster.") { name, value };
        options.AddTo(command);
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            string setting = parse.GetRequiredValue(name), text = parse.GetRequiredValue(value);
            Wire.PlacementResponse placement;
            using (HengeClient client = globals.Connect(parse))
            {
                placement = await client.PlacementAsync(cancellationToken).ConfigureAwait(false);
            }

            string unit = placement.Settings.FirstOrDefault(s => s.Name == setting)?.Unit ?? "";
            return await new ClusterChangeRun(context, globals, parse, options).RunAsync(
                new Wire.ChangeRequest
                {
                    Kind = Wire.ChangeRequest.Types.Kind.Set,
                    Setting = setting,
                    Value = text == "default" ? "" : unit switch
                    {
                        "ms" => ((long)Durations.Parse(text).TotalMilliseconds).ToString(CultureInfo.InvariantCulture),
                        "bytes" => Sizes.Parse(text).ToString(CultureInfo.InvariantCulture),
                        _ => text,
                    },
                },
                _ => $"{setting} is {(text == "default" ? "what it is by default" : text)} now.",
                null,
                cancellationToken).ConfigureAwait(false);
        });
        return command.WithExamples(
            "henge cluster set replication-factor 3 --wait",
            "henge cluster set replace-after 30m",
            "henge cluster set move-rate 64MiB",
            "henge cluster set replace-after default");
    }

    public static Command Settings(CliContext context, GlobalOptions globals)
    {
        Command command = new("settings", "Show the settings of the cluster.");
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            using HengeClient client = globals.Connect(parse);
            Wire.PlacementResponse placement = await client.PlacementAsync(cancellationToken).ConfigureAwait(false);
            if (globals.IsJson(parse))
            {
                JsonForm.WriteLine(context.Output, json => json.WriteObjects("settings", placement.Settings, setting =>
                {
                    json.WriteString("name", setting.Name);
                    json.WriteNumber("value", setting.Value);
                    json.WriteNumber("default", setting.DefaultValue);
                    json.WriteString("unit", setting.Unit);
                    json.WriteBoolean("set", setting.Set);
                    json.WriteNumber("least", setting.Least);
                    json.WriteNumber("most", setting.Most);
                }));
                return ExitCode.Ok;
            }

            Table table = new("SETTING", "VALUE", "DEFAULT", "WHAT IT DOES");
            foreach (Wire.ClusterSetting setting in placement.Settings)
            {
                table.Add(setting.Name, Text(setting, setting.Value), Text(setting, setting.DefaultValue), setting.Text);
            }

            context.Output.Write(table.ToString());
            return ExitCode.Ok;
        });
        return command.WithExamples("henge cluster settings", "henge cluster settings --output json");
    }

    private static string Text(Wire.ClusterSetting setting, ulong value) =>
        setting.Unit switch
        {
            "ms" => TextForm.OfDuration(TimeSpan.FromMilliseconds(value)),
            "bytes" => TextForm.OfSize(value),
            _ => value.ToString(CultureInfo.InvariantCulture),
        };
}
