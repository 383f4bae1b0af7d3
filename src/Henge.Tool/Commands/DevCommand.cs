using System.CommandLine;
using Henge.Cli;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Tool.Dev;

namespace Henge.Tool.Commands;

/// <summary><c>henge dev</c>: a cluster on this machine, one process a node.</summary>
internal static class DevCommand
{
    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Option<int> nodes = new("--nodes", "-n")
        {
            Description = "How many nodes.",
            HelpName = "count",
            DefaultValueFactory = _ => 3,
        };
        Option<int> port = CommandExtensions.OptionOf("--port", "The first node's port; the others follow.", "port", 7001);
        Option<string> data = CommandExtensions.OptionOf("--data-dir", "Where the nodes keep their data and logs.", "directory", "./data");
        Option<int?> shards = new("--shards") { Description = "How many shards a new cluster has.", HelpName = "count" };
        Option<string?> logFormat = new("--log-format") { Description = "How the nodes log: text or json.", HelpName = "format" };
        Option<string?> logLevel = new("--log-level")
        {
            Description = "Least level that the nodes log, by category: Information,Henge.Raft=Debug.",
            HelpName = "list",
        };
        Argument<string[]> extra = new("setting")
        {
            Description = "Behind --: settings for every node, as for henge serve.",
            Arity = ArgumentArity.ZeroOrMore,
        };
        Command command = new("dev", NodeCommands.DescriptionOf("dev")) { nodes, port, data, shards, logFormat, logLevel, extra };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            int count = parse.GetValue(nodes);
            int first = parse.GetValue(port);
            if (count is < 1 or > 9)
            {
                throw new UsageException("--nodes must be from 1 to 9.");
            }

            if (first < 1 || first + count > 65_536)
            {
                throw new UsageException("--port must be from 1 to 65535, with room for all nodes.");
            }

            string[] settings =
            [
                .. parse.GetValue(shards) is { } number ? ["--shards", $"{number}"] : Array.Empty<string>(),
                .. parse.GetValue(logFormat) is { } format ? ["--log-format", format] : Array.Empty<string>(),
                .. parse.GetValue(logLevel) is { } level ? ["--log-level", level] : Array.Empty<string>(),
                .. parse.GetValue(extra) ?? [],
            ];
            string directory = parse.GetRequiredValue(data);
            DevCertificates? certificates = parse.GetValue(globals.Tls)
                ? DevCertificates.In(Path.Combine(directory, "certs"), context.Time.GetUtcNow())
                : null;
            DevCluster cluster = new(
                context, count, first, directory, [.. certificates?.Settings ?? [], .. settings], certificates);
            return await cluster.RunAsync(cancellationToken).ConfigureAwait(false);
        });
        command.Add(Add(context, globals));
        return command.WithExamples(
            "henge dev",
            "henge dev add",
            "henge dev --nodes 5",
            "henge dev --tls                         # with certificates, as on a network",
            "henge dev --log-format json --log-level Henge.Raft=Debug",
            "henge dev --data-dir /tmp/henge -- --history 10m");
    }

    private static Command Add(CliContext context, GlobalOptions globals)
    {
        Option<string> data = CommandExtensions.OptionOf("--data-dir", "That of the running henge dev.", "directory", "./data");
        Argument<string[]> extra = new("setting")
        {
            Description = "Behind --: settings for the node, as for henge serve.",
            Arity = ArgumentArity.ZeroOrMore,
        };
        Command command = new("add", "Start one node more in the cluster that henge dev runs; it joins, and takes its share.") { data, extra };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            string[] added = await DevRequests
                .AddAsync(parse.GetRequiredValue(data), parse.GetValue(extra) ?? [], cancellationToken)
                .ConfigureAwait(false);
            context.Output.WriteLine($"{added[0]}  {added[1]}  pid {added[2]}  has joined. Its log: {added[3]}");
            context.Output.WriteLine("Its share of the shards moves to it: henge cluster moves --watch");
            return ExitCode.Ok;
        });
        return command.WithExamples("henge dev add", "henge dev add -- --zone b");
    }
}
