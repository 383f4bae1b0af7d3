using System.CommandLine;
using System.CommandLine.Invocation;
using Henge.Cli.Commands;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Parsing;
using Henge.Core;

namespace Henge.Cli;

/// <summary>The whole command line.</summary>
/// <param name="context">The streams, the environment and the clock of the commands.</param>
/// <param name="nodeCommands">
/// Makes the commands that run nodes or read their files, of which there are those of <see cref="NodeCommands"/>, for a command line; null:
/// they are known by name only.
/// </param>
internal sealed class CliApp(
    CliContext context,
    Func<CliContext, GlobalOptions, IReadOnlyList<string>, IEnumerable<Command>>? nodeCommands = null)
{
    /// <summary>Runs one command line; returns the exit code.</summary>
    public async Task<int> RunAsync(IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        RootCommand root = Build(arguments);

        // Keys may begin with @, which would otherwise name a file of arguments.
        ParseResult parse = root.Parse(AsOptions(arguments), new ParserConfiguration { ResponseFileTokenReplacer = null });
        using StringWriter text = new();
        if (parse.Errors.Count > 0 && parse.Action is null or ParseErrorAction)
        {
            string name = NameOf(parse.CommandResult.Command);
            bool json = arguments.Contains("json") && arguments.Any(a => a is "--output" or "-o");
            int code = context.Fail(json, ExitCode.Usage, "Usage", ParseMessage.Plain(ProblemOf(parse)));
            await context.Error.WriteLineAsync($"See: {name} --help").ConfigureAwait(false);
            return code;
        }

        if (parse.Action is not System.CommandLine.Help.HelpAction && MisspeltVariable() is { } misspelt)
        {
            return context.Fail(json: false, ExitCode.Usage, "Usage", misspelt);
        }

        InvocationConfiguration invocation = new()
        {
            EnableDefaultExceptionHandler = false,
            Output = text,
            Error = context.Error,

            // Commands stop in their own time once they are asked to: nodes may have to finish what is under way.
            ProcessTerminationTimeout = TimeSpan.FromMinutes(1),
        };
        int exitCode = await parse.InvokeAsync(invocation, cancellationToken).ConfigureAwait(false);
        context.Output.Write(text.ToString());
        return context.Flush(json: false, exitCode);
    }

    private RootCommand Build(IReadOnlyList<string> arguments)
    {
        GlobalOptions globals = new(context);
        RootCommand root = new("Henge: a distributed, strongly consistent key-value store.")
        {
            GetCommand.Create(context, globals),
            PutCommand.Create(context, globals),
            DeleteCommand.Create(context, globals),
            ScanCommand.Create(context, globals),
            WatchCommand.Create(context, globals),
            HistoryCommand.Create(context, globals),
            TxnCommand.Create(context, globals),
            StatusCommand.Create(context, globals),
            ClusterCommand.Create(context, globals),
            UserCommand.Create(context, globals),
            RoleCommand.Create(context, globals),
            AuthCommand.Create(context, globals),
            CertCommand.Create(context, globals),
            ImportCommand.Create(context, globals),
            ExportCommand.Create(context, globals),
        };
        foreach (Command command in nodeCommands?.Invoke(context, globals, arguments) ?? NodeCommands.Names())
        {
            root.Add(command);
        }

        root.Add(CompletionCommand.Create(context, globals));
        globals.AddTo(root);
        Examples.Install(root);
        root.WithExamples(
            "henge dev                              # three nodes on this machine",
            "henge put user:1001 '{\"name\":\"Alice\"}'",
            "henge get user:1001",
            "henge watch --prefix user:",
            "henge status");
        return root;
    }

    /// <summary>
    /// Words that users of other programs try first, said as options: nothing and <c>help</c> are help, <c>version</c> is the version.
    /// </summary>
    private static IReadOnlyList<string> AsOptions(IReadOnlyList<string> arguments) => arguments switch
    {
        [] => ["--help"],
        ["help", ..] => [.. arguments.Skip(1), "--help"],
        ["version", ..] => ["--version", .. arguments.Skip(1)],
        _ => arguments,
    };

    private static string ProblemOf(ParseResult parse)
    {
        Command command = parse.CommandResult.Command;
        if (command.Subcommands.Count == 0)
        {
            return parse.Errors.Count > 0 ? parse.Errors[0].Message : "There is a command missing.";
        }

        string[] names = [.. command.Subcommands.Where(static c => !c.Hidden).Select(static c => c.Name)];
        return parse.UnmatchedTokens.FirstOrDefault(static t => !t.StartsWith('-')) is { } unknown
                ? $"There is no command '{NameOf(command)} {unknown}'."
                    + (
                        NearMiss.Find(unknown, names) is { } near
                            ? $" Did you mean '{NameOf(command)} {near}'?"
                            : $" The commands are: {string.Join(", ", names)}.")
            : parse.UnmatchedTokens.Count > 0 ? $"There is no option {parse.UnmatchedTokens[0]}."
            : $"'{NameOf(command)}' needs one of these commands: {string.Join(", ", names)}.";
    }

    /// <summary>
    /// A variable that is nearly one of the few that all commands read. A setting that is silently not taken sends a command to another
    /// cluster. Variables of nodes are checked where nodes read them.
    /// </summary>
    private string? MisspeltVariable()
    {
        foreach (string name in context.VariableNames())
        {
            if (name.StartsWith("HENGE_", StringComparison.Ordinal) && !GlobalOptions.Variables.Contains(name)
                && GlobalOptions.Variables.FirstOrDefault(known => IsNear(name, known)) is { } meant)
            {
                return $"The environment variable {name} means nothing to Henge. Did you mean {meant}?";
            }
        }

        return null;
    }

    // One letter too many, too few or wrong: HENGE_PEER, HENGE_PEERSS. Anything farther away may be somebody else's, or a setting of a
    // node.
    private static bool IsNear(string name, string known) =>
        Math.Abs(name.Length - known.Length) <= 1 && NearMiss.Distance(name, known) == 1;

    private static string NameOf(Command command)
    {
        List<string> names = [];
        for (Command? one = command; one is not null and not RootCommand; one = one.Parents.OfType<Command>().FirstOrDefault())
        {
            names.Insert(0, one.Name);
        }

        return string.Join(' ', ["henge", .. names]);
    }
}
