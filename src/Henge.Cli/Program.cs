using System.Text;
using Henge.Cli;

using Stream output = StandardStreams.Output();
using StreamWriter error = new(StandardStreams.Error(), new UTF8Encoding(false)) { AutoFlush = true };
CliContext context = new()
{
    OpenInput = StandardStreams.Input,
    Output = new OutputWriter(output),
    Error = error,
    OutputIsTerminal = !Console.IsOutputRedirected,
    ErrorIsTerminal = !Console.IsErrorRedirected,
};
return await new CliApp(context).RunAsync(args, CancellationToken.None).ConfigureAwait(false);
