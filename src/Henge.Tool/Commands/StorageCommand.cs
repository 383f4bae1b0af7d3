using System.CommandLine;
using System.Runtime.CompilerServices;
using System.Text;
using Henge.Cli;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Node.Log;
using Henge.Storage.Files;
using Henge.Storage.Inspection;

namespace Henge.Tool.Commands;

/// <summary><c>henge storage</c>: looks into the files of a node that is stopped.</summary>
internal static class StorageCommand
{
    public static Command Create(CliContext context, GlobalOptions globals) =>
        new("storage", NodeCommands.DescriptionOf("storage"))
        {
            Verify(context, globals), Dump(context, globals), StorageConvertCommand.Create(context, globals),
        };

    private static Command Verify(CliContext context, GlobalOptions globals)
    {
        Argument<string> directory = new("directory") { Description = "A node's data directory, or the directory of an engine or log." };
        Command command = new("verify", "Check every checksum and invariant; exit code 7 when there is damage.") { directory };
        command.Do(context, globals, (parse, _) =>
        {
            string path = parse.GetRequiredValue(directory);
            bool json = globals.IsJson(parse);
            VerifyReport report = StorageVerifier.Verify(path);
            if (json)
            {
                JsonForm.WriteLine(context.Output, j =>
                {
                    j.WriteBoolean("ok", report.Problems.Count == 0);
                    j.WriteNumber("tables", report.Tables);
                    j.WriteNumber("entries", report.Entries);
                    j.WriteNumber("table_bytes", report.TableBytes);
                    j.WriteNumber("log_records", report.LogRecords);
                    j.WriteStartArray("problems");
                    foreach (string problem in report.Problems)
                    {
                        j.WriteStringValue(problem);
                    }

                    j.WriteEndArray();
                    j.WriteStartArray("notes");
                    foreach (string note in report.Notes)
                    {
                        j.WriteStringValue(note);
                    }

                    j.WriteEndArray();
                });
            }
            else
            {
                foreach (string note in report.Notes)
                {
                    context.Output.WriteLine("note: " + note);
                }

                foreach (string problem in report.Problems)
                {
                    context.Output.WriteLine("DAMAGE: " + problem);
                }

                string sizes = $"{report.Tables} tables, {report.Entries} entries, {TextForm.OfSize((ulong)report.TableBytes)}, "
                    + $"{report.LogRecords} log records";
                context.Output.WriteLine(report.Problems.Count == 0 ? $"OK: {sizes}" : $"{report.Problems.Count} problems in {sizes}");
            }

            return Task.FromResult(report.Problems.Count == 0 ? ExitCode.Ok : ExitCode.Damage);
        });
        return command.WithExamples("henge storage verify ./data/node1");
    }

    private static Command Dump(CliContext context, GlobalOptions globals)
    {
        Argument<string> file = new("file") { Description = "A log segment, a table, a manifest, or CURRENT." };
        Command command = new("dump", "Print a file readably.") { file };
        command.Do(context, globals, (parse, _) =>
        {
            DumpFile(context, parse.GetRequiredValue(file));
            return Task.FromResult(ExitCode.Ok);
        });
        return command.WithExamples("henge storage dump ./data/node1/engine/000012.sst");
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void DumpFile(CliContext context, string path)
    {
        using OutputText text = new(context.Output);

        // A node's log lies beside what says which node it is; any other is an engine's own.
        string? directory = Path.GetDirectoryName(Path.GetDirectoryName(Path.GetFullPath(path)));
        bool isNodeLog = directory is not null && File.Exists(Path.Combine(directory, "IDENTITY"));
        StorageDumper.Dump(PosixFileSystem.Instance, path, text, isNodeLog ? NodeLogDescription.Describe : null);
    }

    /// <summary>Text to standard output, as it comes: a dump may be gigabytes.</summary>
    private sealed class OutputText(OutputWriter output) : TextWriter
    {
        public override Encoding Encoding => Encoding.UTF8;

        public override void Write(char value) => output.Write(value.ToString());

        public override void Write(string? value) => output.Write(value ?? "");

        public override void Write(char[] buffer, int index, int count) => output.Write(new string(buffer, index, count));
    }
}
