using System.CommandLine;
using System.Runtime.CompilerServices;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Cli.Parsing;
using Henge.Cli.Transfer;
using Henge.Node.Opening;
using Henge.Server.Runtime;
using Henge.Storage.Files;

namespace Henge.Tool.Commands;

/// <summary><c>henge storage convert</c>: moves the data of a node that is stopped from one engine to another.</summary>
internal static class StorageConvertCommand
{
    private const long MemoryBytes = 256L << 20;

    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Argument<string> directory = new("directory") { Description = "The node's data directory." };
        Option<string> from = new("--from") { Description = "The engine that has the data.", HelpName = "engine", Required = true };
        Option<string> to = new("--to") { Description = "The engine that is to have it.", HelpName = "engine", Required = true };
        Command command = new("convert", "Move a stopped node's data to another engine, and compare both.") { directory, from, to };
        command.Do(context, globals, (parse, cancellation) =>
        {
            string source = parse.GetRequiredValue(from), target = parse.GetRequiredValue(to);
            if (!NodeEngines.Names.Contains(source) || !NodeEngines.Names.Contains(target))
            {
                throw new UsageException($"--from and --to take one of {string.Join(", ", NodeEngines.Names)}.");
            }

            return RunAsync(context, parse.GetRequiredValue(directory), source, target, globals.IsJson(parse), cancellation);
        });
        return command.WithExamples("henge storage convert --from lsm --to rocksdb ./data/node1");
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<int> RunAsync(
        CliContext context, string directory, string from, string to, bool isJson, CancellationToken cancellation)
    {
        PosixFileSystem files = PosixFileSystem.Instance;
        ConversionProgress last = default;
        ConversionResult? result = null;
        Task work = Task.Run(
            () => result = EngineConversion.Run(
                files, directory, from, to, (name, place) => NodeEngines.Open(name, files, place, MemoryBytes), p => last = p, cancellation),
            cancellation);
        while (!work.IsCompleted && last.EstimatedBytes == 0 && last.Entries == 0)
        {
            await Task.WhenAny(work, Task.Delay(100, CancellationToken.None));
        }

        // What is compared counts once more.
        await using (new TransferProgress(
            context,
            $"{from} to {to}",
            2 * last.EstimatedBytes,
            () => (last.Bytes + (last.IsComparing ? last.EstimatedBytes : 0), last.Entries)))
        {
            await work;
        }

        if (isJson)
        {
            JsonForm.WriteLine(context.Output, json =>
            {
                json.WriteNumber("entries", result!.Entries);
                json.WriteNumber("bytes", result.Bytes);
                json.WriteString("new_directory", result.NewDirectory);
                json.WriteString("old_directory", result.OldDirectory);
            });
        }
        else
        {
            context.Output.WriteLine(
                $"OK: {result!.Entries} entries, {TextForm.OfSize((ulong)result.Bytes)}, copied and compared. Start the node with --engine {to}.");
            context.Output.WriteLine($"{result.OldDirectory} has the files of before; delete it when the node has run well.");
        }

        return ExitCode.Ok;
    }
}
