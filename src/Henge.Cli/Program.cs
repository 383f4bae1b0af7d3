using Henge.Cli;

using Stream output = Console.OpenStandardOutput();
using Stream input = Console.OpenStandardInput();
CliContext context = new()
{
    Input = input,
    Output = new OutputWriter(output),
    Error = Console.Error,
    OutputIsTerminal = !Console.IsOutputRedirected,
    ErrorIsTerminal = !Console.IsErrorRedirected,
};
return await new CliApp(context).RunAsync(args, CancellationToken.None).ConfigureAwait(false);
