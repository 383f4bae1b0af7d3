using System.CommandLine;

namespace Henge.Cli.Context;

/// <summary>What all commands are built with.</summary>
internal static class CommandExtensions
{
    /// <summary>Sets what a command does, with errors turned into messages and exit codes.</summary>
    public static void Do(
        this Command command,
        CliContext context,
        GlobalOptions globals,
        Func<ParseResult, CancellationToken, Task<int>> work) =>
        command.SetAction(
            (parse, cancellationToken) => context.RunAsync(globals.IsJson(parse), () => work(parse, cancellationToken), cancellationToken));

    /// <summary>Adds examples, which its help shows at the end.</summary>
    public static Command WithExamples(this Command command, params string[] examples)
    {
        Examples.Of(command).AddRange(examples);
        return command;
    }
}
