using System.CommandLine;
using System.CommandLine.Invocation;

namespace Henge.Cli;

/// <summary>The whole command line.</summary>
internal sealed class CliApp(CliContext context)
{
    /// <summary>Runs one command line; returns the exit code.</summary>
    public async Task<int> RunAsync(IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        RootCommand root = Build(arguments);

        // Keys may begin with @, which would otherwise name a file of arguments.
        ParseResult parse = root.Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
        using StringWriter text = new();
        if (parse.Errors.Count > 0 && parse.Action is null or ParseErrorAction)
        {
            string name = NameOf(parse.CommandResult.Command);
            bool json = arguments.Contains("json") && arguments.Any(a => a is "--output" or "-o");
            string message = parse.Errors.Count > 0 ? parse.Errors[0].Message : "There is a command missing.";
            int code = context.Fail(json, ExitCode.Usage, "Usage", message);
            await context.Error.WriteLineAsync($"See: {name} --help").ConfigureAwait(false);
            return code;
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
        // What needs other libraries is only built when it can be asked for.
        bool suggest = arguments.Count > 0 && arguments[0].StartsWith("[suggest", StringComparison.Ordinal);
        bool Wanted(string name) => arguments.Any(a => a == name || (suggest && a.Contains(name, StringComparison.Ordinal)));
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
            ImportCommand.Create(context, globals),
            ExportCommand.Create(context, globals),
            DevCommand.Create(context, globals),
            ServeCommand.Create(context, globals, Wanted("serve")),
            StorageCommand.Create(context, globals),
            BenchCommand.Create(context, globals, Wanted("bench")),
            CompletionCommand.Create(context, globals),
        };
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
