using System.CommandLine;
using System.Runtime.CompilerServices;
using Henge.Cli;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Core;
using Henge.Server.Events;
using Henge.Server.Hosting;

namespace Henge.Tool.Commands;

/// <summary><c>henge serve</c>.</summary>
internal static class ServeCommand
{
    /// <summary>
    /// The command with all settings of a node, or, where <paramref name="wanted"/> is false, only its name: other commands need not load
    /// the server to start.
    /// </summary>
    public static Command Create(CliContext context, GlobalOptions globals, bool wanted)
    {
        Command command = new("serve", NodeCommands.DescriptionOf("serve"));
        if (wanted)
        {
            AddSettings(command, context, globals);
        }

        return command.WithExamples(
            "henge serve --node-id node1 --addr 127.0.0.1:7001 --data-dir ./data/node1",
            "henge serve --node-id node2 --addr 10.0.0.2:7001 --data-dir /var/lib/henge --cluster "
                + "node1=10.0.0.1:7001,node2=10.0.0.2:7001,node3=10.0.0.3:7001 --tls-cert node.crt --tls-key node.key --tls-ca ca.crt",
            "henge serve --node-id node4 --addr 10.0.0.4:7001 --data-dir /var/lib/henge --join 10.0.0.1:7001 --tls-cert node.crt "
                + "--tls-key node.key --tls-ca ca.crt",
            "henge serve --config henge.json",
            "",
            "Every setting is also read from the environment (HENGE_NODE_ID for --node-id) and from the file that --config names;",
            "the command line wins over the environment, and that over the file.");
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void AddSettings(Command command, CliContext context, GlobalOptions globals)
    {
        Option<string?> config = new("--config") { Description = "Read settings from this JSON file.", HelpName = "FILE" };
        command.Add(config);
        List<(string Name, Option<string?> Option)> settings = [];
        foreach (Setting setting in ServerSettings.All)
        {
            // Files of TLS are options of all commands, and here they are the node's.
            Option<string?>? shared = globals.OfSetting(setting.Name);
            Option<string?> option = shared ?? new("--" + setting.Name)
            {
                Description = $"{setting.Description} [default: {setting.Default}]",
                HelpName = setting.Form,
                Arity = setting.Form == "BOOL" ? ArgumentArity.ZeroOrOne : ArgumentArity.ExactlyOne,
            };
            settings.Add((setting.Name, option));
            if (shared is null)
            {
                command.Add(option);
            }
        }

        command.Do(context, globals, (parse, cancellationToken) =>
        {
            Dictionary<string, string> given = [];
            if (parse.GetValue(globals.Peers) is { } peers)
            {
                // Elsewhere --peers names the nodes to ask; here it does as well, for the cluster to join.
                given["join"] = peers;
            }

            foreach ((string name, Option<string?> option) in settings)
            {
                // One that is yes or no may stand alone.
                string? value = parse.GetValue(option) ?? (parse.GetResult(option) is { Implicit: false } ? "true" : null);
                if (value is not null)
                {
                    if (name == "join" && given.TryGetValue(name, out string? others) && others != value)
                    {
                        throw new UsageException("--join and --peers mean the same to serve, and differ. Leave one of them out.");
                    }

                    given[name] = value;
                }
            }

            return RunAsync(context, ServerConfiguration.Load(given, parse.GetValue(config)), cancellationToken);
        });
    }

    private static async Task<int> RunAsync(CliContext context, ServerOptions options, CancellationToken cancellationToken)
    {
        // With JSON there is nothing but JSON, for whatever reads it: what is for people otherwise is told by events.
        bool isForPeople = options.Log.Format == LogFormat.Text;
        using ServerLogging logging = new(context.Error, options.Log);
        HengeHost host;
        try
        {
            host = await HengeHost.StartAsync(options, logging, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (!isForPeople && e is (HengeException or IOException or UnauthorizedAccessException))
        {
            logging.ReportStartFailure(e);
            return e is HengeException known ? ExitCode.Of(known.Code) : ExitCode.File;
        }

        await using (host.ConfigureAwait(false))
        {
            Say($"{options.Node.Name} listens on {host.Server.EndPoint}, data in {options.Node.DataDirectory}. Ctrl-C stops it.");
            try
            {
                await Task.Delay(Timeout.Infinite, cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                Say("Stopping ...");
            }
        }

        return ExitCode.Ok;

        void Say(string line)
        {
            if (isForPeople)
            {
                context.Output.WriteLine(line);
                context.Output.Flush();
            }
        }
    }
}
