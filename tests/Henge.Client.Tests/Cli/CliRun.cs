using System.Text;
using Henge.Cli;
using Henge.Cli.Context;
using Henge.Cli.Output;
using Henge.Tool;

namespace Henge.Client.Tests.Cli;

/// <summary>What a command line came to.</summary>
internal sealed record Ran(int ExitCode, byte[] Bytes, string Error)
{
    public string Output => Encoding.UTF8.GetString(Bytes);
}

/// <summary>Runs whole command lines in this process.</summary>
internal static class CliRun
{
    public static async Task<Ran> RunAsync(
        string peers,
        string[] arguments,
        byte[]? input = null,
        string[]? variables = null,
        TimeProvider? time = null,
        IReadOnlyDictionary<string, string>? environment = null,
        Func<string, string>? readSecret = null,
        CancellationToken cancellationToken = default)
    {
        using MemoryStream output = new();
        using StringWriter error = new() { NewLine = "\n" };
        CliContext context = new()
        {
            OpenInput = () => new MemoryStream(input ?? []),
            Output = new OutputWriter(output),
            Error = error,
            Time = time ?? TimeProvider.System,
            ReadSecret = readSecret,
            Environment = name => name == "HENGE_PEERS" ? peers : environment?.GetValueOrDefault(name),
            VariableNames = () => variables ?? ["HENGE_PEERS"],
        };
        int exitCode = await new CliApp(context, ToolCommands.Create).RunAsync(arguments, cancellationToken);
        return new Ran(exitCode, output.ToArray(), error.ToString());
    }
}
