using System.Text;
using Henge.Cli.Context;
using Henge.Cli.Output;

namespace Henge.Cli;

/// <summary>The streams and the terminal of a command that runs as a process of its own.</summary>
internal static class ProcessContext
{
    /// <summary>Runs a command line on the process's streams; returns the exit code.</summary>
    public static async Task<int> RunAsync(Func<CliContext, CliApp> app, IReadOnlyList<string> arguments)
    {
        Stream output = StandardStreams.Output();
        await using (output.ConfigureAwait(false))
        {
            StreamWriter error = new(StandardStreams.Error(), new UTF8Encoding(false)) { AutoFlush = true };
            await using (error.ConfigureAwait(false))
            {
                CliContext context = new()
                {
                    OpenInput = StandardStreams.Input,
                    Output = new OutputWriter(output),
                    Error = error,
                    OutputIsTerminal = !Console.IsOutputRedirected,
                    ReadSecret = Console.IsInputRedirected ? null : prompt => SecretPrompt.Read(prompt, error),
                    ErrorIsTerminal = !Console.IsErrorRedirected,
                };
                return await app(context).RunAsync(arguments, CancellationToken.None).ConfigureAwait(false);
            }
        }
    }
}
