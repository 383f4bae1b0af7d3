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

    /// <summary>An option that has a value when it is not given.</summary>
    public static Option<T> OptionOf<T>(string name, string description, string helpName, T value) => new(name)
    {
        Description = description,
        HelpName = helpName,
        DefaultValueFactory = _ => value,
    };

    /// <summary>Adds examples, which its help shows at the end.</summary>
    public static Command WithExamples(this Command command, params string[] examples)
    {
        Examples.Of(command).AddRange(examples);
        return command;
    }
}
