using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Cli.Transfer;
using Henge.Client;

namespace Henge.Cli.Commands;

/// <summary><c>henge export</c>.</summary>
internal static class ExportCommand
{
    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Argument<string> file = new("file")
        {
            Description = "The file; - or nothing writes to standard output.",
            DefaultValueFactory = _ => "-",
        };
        Option<string> format = TransferOptions.Format();
        DataOptions data = new();
        RangeOptions range = new();
        Option<bool> resume = new("--resume") { Description = "Go on where an export to this file was interrupted." };
        Option<bool> force = new("--force") { Description = "Overwrite the file." };
        Command command = new("export", "Write all records, as of one moment, to a file.")
        {
            file, format, range.Prefix, range.From, range.To, data.AtVersion, data.AtTime, resume, force,
        };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            string path = parse.GetRequiredValue(file);
            ScanOptions options = new()
            {
                Range = range.Of(parse, ByteEncoding.Text),
                AtVersion = data.VersionOf(parse),
                AtTime = data.TimeOf(parse, context),
            };
            Exporter exporter = new(options, TransferOptions.FormatOf(parse.GetValue(format), path));
            using HengeClient client = globals.Connect(parse, shortLived: false);
            bool toFile = path != "-";
            string summary;
            await using (TransferProgress progress = new(context, "exported", 0, () => (exporter.Bytes, exporter.Records)))
            {
                if (toFile)
                {
                    await exporter.ToFileAsync(client, path, parse.GetValue(resume), parse.GetValue(force), context,
                        cancellationToken).ConfigureAwait(false);
                }
                else
                {
                    await exporter.ToAsync(client, context.Output, cancellationToken).ConfigureAwait(false);
                }

                summary = progress.Summary();
            }

            context.Output.Flush();
            TransferOptions.WriteEnd(context, globals.IsJson(parse), "exported", exporter.Records, exporter.Bytes, summary);
            return ExitCode.Ok;
        });
        return command.WithExamples(
            "henge export backup.jsonl",
            "henge export --prefix user: | gzip > users.jsonl.gz",
            "henge export yesterday.tsv --at 1d");
    }
}
