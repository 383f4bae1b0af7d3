using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Cli.Transfer;
using Henge.Client;
using Henge.Core;

namespace Henge.Cli.Commands;

/// <summary><c>henge import FILE</c>.</summary>
internal static class ImportCommand
{
    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Argument<string> file = new("file") { Description = "The file; - reads standard input." };
        Option<string> format = TransferOptions.Format();
        Option<int> concurrency = CommandExtensions.OptionOf("--concurrency", "Puts under way at a time.", "count", 256);
        Option<string> prefix = CommandExtensions.OptionOf("--prefix", "Put this before every key.", "prefix", "");
        Option<bool> resume = new("--resume") { Description = "Go on where an import of this file was interrupted." };
        Option<bool> restart = new("--restart") { Description = "Begin anew although an import of this file was interrupted." };
        Option<bool> skipInvalid = new("--skip-invalid")
        {
            Description = "Pass over lines that make no sense or that the cluster refuses, and name each.",
        };
        Command command = new("import", "Write all records of a file.") { file, format, prefix, concurrency, resume, restart, skipInvalid };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            string path = parse.GetRequiredValue(file);
            int puts = parse.GetValue(concurrency);
            if (puts is < 1 or > 65_536)
            {
                throw new UsageException("--concurrency must be from 1 to 65536.");
            }

            bool isFile = path != "-";
            using Stream input = isFile ? new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1,
                FileOptions.SequentialScan) : context.OpenInput();
            byte[] head = isFile ? Checkpoint.HeadOf(input) : [];
            Checkpoint start = isFile
                ? StartOf(path, input, head, parse.GetValue(resume), parse.GetValue(restart))
                : new Checkpoint { Offset = 0, Records = 0 };
            if (isFile)
            {
                input.Position = start.Offset;
            }

            Watermark watermark = new(start.Offset, start.Lines, start.Records);
            using HengeClient client = globals.Connect(parse, shortLived: false);
            long skipped = 0;
            void Skip(string why)
            {
                Interlocked.Increment(ref skipped);
                context.Error.WriteLine("henge: " + why);
            }

            Importer importer = new(
                client, TransferOptions.FormatOf(parse.GetValue(format), path), puts, parse.GetValue(prefix) ?? "", watermark,
                    parse.GetValue(skipInvalid) ? Skip : null);
            string summary;
            await using (TransferProgress progress = new(context, "imported", isFile ? input.Length : 0, () =>
            {
                (long offset, _, long records) = watermark.Read();
                return (offset, records);
            }))
            {
                Task import = importer.RunAsync(input, path, start.Offset, start.Lines, cancellationToken);
                try
                {
                    await SaveWhileAsync(import, isFile ? path : null, start, head, watermark).ConfigureAwait(false);
                }
                catch (Exception e) when (isFile && e is HengeException or UsageException or OperationCanceledException)
                {
                    Save(path, start, head, watermark);
                    await context.Error.WriteLineAsync($"henge: stopped after line {watermark.Read().Lines}; go on with --resume").ConfigureAwait(false);
                    throw;
                }

                summary = progress.Summary();
            }

            if (isFile)
            {
                Checkpoint.Delete(path);
            }

            TransferOptions.WriteEnd(context, globals.IsJson(parse), "imported", watermark.Read().Records, watermark.Read().Offset,
                summary);
            return skipped == 0 ? ExitCode.Ok : context.Fail(globals.IsJson(parse), ExitCode.Refused, "Skipped", $"{skipped} lines were "
                + $"passed over.");
        });
        return command.WithExamples(
            "henge import users.jsonl               # lines as {\"key\":\"user:1\",\"value\":\"…\"}",
            "henge import table.tsv --prefix t:     # lines of key, tab, value",
            "zcat big.jsonl.gz | henge import - --format jsonl",
            "henge import users.jsonl --resume      # after an interruption");
    }

    private static Checkpoint StartOf(string path, Stream input, byte[] head, bool resume, bool restart)
    {
        Checkpoint fresh = new() { Offset = 0, Records = 0, FileBytes = input.Length };
        if (restart || Checkpoint.Load(path) is not { } old)
        {
            return fresh;
        }

        if (!resume)
        {
            throw new UsageException(
                $"An import of {path} stopped after line {old.Lines}. Go on with --resume, or begin anew with --restart.");
        }

        // A file that grew, or of which a line that was refused has been mended, may be gone on with: what was done is still at its
        // beginning.
        return old.Fits(head, input.Length)
            ? old with { FileBytes = input.Length }
            : throw new UsageException($"{path} is not the file any more whose import was interrupted. Begin anew with --restart.");
    }

    private static async Task SaveWhileAsync(Task import, string? path, Checkpoint start, byte[] head, Watermark watermark)
    {
        while (await Task.WhenAny(import, Task.Delay(TimeSpan.FromSeconds(2))).ConfigureAwait(false) != import)
        {
            if (path is not null)
            {
                Save(path, start, head, watermark);
            }
        }

        await import.ConfigureAwait(false);
    }

    private static void Save(string path, Checkpoint start, byte[] head, Watermark watermark)
    {
        (long offset, long lines, long records) = watermark.Read();
        start.At(offset, lines, records, head).Save(path);
    }
}

/// <summary>What import and export have in common.</summary>
internal static class TransferOptions
{
    public static Option<string> Format() =>
        GlobalOptions.OneOf("--format", "Form of the lines; auto: by the name's end, .tsv or anything else.", "auto", "jsonl", "tsv");

    public static TransferFormat FormatOf(string? name, string path) => name switch
    {
        "jsonl" => TransferFormat.JsonLines,
        "tsv" => TransferFormat.TabSeparated,
        _ => path.EndsWith(".tsv", StringComparison.OrdinalIgnoreCase) ? TransferFormat.TabSeparated : TransferFormat.JsonLines,
    };

    public static void WriteEnd(CliContext context, bool json, string verb, long records, long bytes, string summary)
    {
        if (json)
        {
            context.Error.WriteLine(JsonForm.ToText(j =>
            {
                j.WriteNumber(verb, records);
                j.WriteNumber("bytes", bytes);
            }));
        }
        else
        {
            context.Error.WriteLine($"{verb}: {summary}");
        }
    }
}
