using System.CommandLine;

namespace Henge.Cli;

/// <summary>
/// The commands that run nodes or read their files. They need the server and its libraries, which the native command line does without: it
/// only knows their names, and hands them to the program that has them.
/// </summary>
internal static class NodeCommands
{
    /// <summary>The names, with what each does in a line, in the order of the help.</summary>
    public static IReadOnlyList<(string Name, string Description)> All { get; } =
    [
        ("dev", "Run a cluster on this machine, one process a node, until Ctrl-C."),
        ("serve", "Run a node."),
        ("storage", "Check and print the files of a node that is stopped."),
        ("bench", "Measure throughput and latency."),
    ];

    /// <summary>What the command of this name does, in a line.</summary>
    public static string DescriptionOf(string name) => All.First(command => command.Name == name).Description;

    /// <summary>
    /// True when one of these commands may be meant: one of the words is its name, or a shell asks what completes a line with it. A key
    /// that has such a name also counts, and is only served a little later.
    /// </summary>
    public static bool MayBeCommand(IReadOnlyList<string> arguments) => All.Any(command => MayBeCommand(command.Name, arguments));

    /// <summary>True when the command of this name may be meant.</summary>
    public static bool MayBeCommand(string name, IReadOnlyList<string> arguments)
    {
        bool completes = arguments.Count > 0 && arguments[0].StartsWith("[suggest", StringComparison.Ordinal);
        return arguments.Any(argument => argument == name || (completes && argument.Contains(name, StringComparison.Ordinal)));
    }

    /// <summary>The commands by name alone, for a help that lists them.</summary>
    public static IEnumerable<Command> Names() => All.Select(static command => new Command(command.Name, command.Description));
}
