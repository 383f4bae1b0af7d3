using System.CommandLine;
using Henge.Cli;
using Henge.Cli.Context;
using Henge.Tool.Commands;

namespace Henge.Tool;

/// <summary>The commands that this program has and the native command line hands to it.</summary>
internal static class ToolCommands
{
    /// <summary>Makes them. What needs more libraries is only built when it can be asked for.</summary>
    public static IEnumerable<Command> Create(CliContext context, GlobalOptions globals, IReadOnlyList<string> arguments) =>
    [
        DevCommand.Create(context, globals),
        ServeCommand.Create(context, globals, NodeCommands.MayBeCommand("serve", arguments)),
        StorageCommand.Create(context, globals),
        BenchCommand.Create(context, globals, NodeCommands.MayBeCommand("bench", arguments)),
    ];
}
