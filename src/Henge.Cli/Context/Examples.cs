using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Runtime.CompilerServices;

namespace Henge.Cli.Context;

/// <summary>Examples below a command's help.</summary>
internal static class Examples
{
    private static readonly ConditionalWeakTable<Command, List<string>> ByCommand = [];

    public static List<string> Of(Command command) => ByCommand.GetValue(command, static _ => []);

    /// <summary>Makes the help of all commands end with their examples.</summary>
    public static void Install(RootCommand root)
    {
        foreach (Option option in root.Options)
        {
            if (option is HelpOption { Action: HelpAction plain } help)
            {
                help.Action = new WithExamples(plain);
            }
        }
    }

    private sealed class WithExamples(HelpAction plain) : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            int result = plain.Invoke(parseResult);
            List<string> examples = Of(parseResult.CommandResult.Command);
            if (examples.Count > 0)
            {
                TextWriter output = parseResult.InvocationConfiguration.Output;
                output.WriteLine("Examples:");
                foreach (string example in examples)
                {
                    output.WriteLine("  " + example);
                }
            }

            return result;
        }
    }
}
