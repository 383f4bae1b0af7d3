using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Henge.Bench.Engine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Cli.Parsing;

namespace Henge.Tool.Commands;

/// <summary>
/// <c>henge bench engines</c>: one set of workloads over each engine in turn, as a table. Each engine runs in a process of its own, so that
/// none finds the heap, the compiled code or the files of another one.
/// </summary>
internal static class EnginesBenchCommand
{
    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Option<string> engines = new("--engines")
        {
            Description = "Which engines, in order. [default: all]",
            HelpName = "names",
            DefaultValueFactory = static _ => string.Join(",", EngineBenchOptions.Engines),
        };
        Option<string> directory = CommandExtensions.OptionOf(
            "--db",
            "A directory for the data, which is deleted before each engine and in the end.",
            "directory",
            Path.Combine(Path.GetTempPath(), "henge-bench-engines"));
        Option<long> num = CommandExtensions.OptionOf("--num", "Entries.", "count", 500_000L);
        Option<int> valueSize = CommandExtensions.OptionOf("--value-size", "Bytes of a value.", "bytes", 100);
        Option<long> memory = CommandExtensions.OptionOf("--memory", "Memory for memtables and cache, in bytes.", "bytes", 256L << 20);
        Option<string?> html = new("--html") { Description = "Write a page with tables and plots to this file.", HelpName = "file" };
        Command command = new("engines", "Run one set of workloads on every storage engine, and compare.")
        {
            engines, directory, num, valueSize, memory, html,
        };
        command.Do(context, globals, async (parse, cancellation) =>
        {
            string[] names = parse.GetRequiredValue(engines).Split(
                ',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            if (names.Length == 0 || names.FirstOrDefault(n => !EngineBenchOptions.Engines.Contains(n)) is { })
            {
                throw new UsageException($"--engines takes some of {string.Join(", ", EngineBenchOptions.Engines)}, with commas between.");
            }

            string place = parse.GetRequiredValue(directory);
            List<EngineRun> runs = [];
            foreach (string engine in names)
            {
                context.Error.WriteLine($"{engine} ({runs.Count + 1} of {names.Length}) ...");
                runs.Add(await RunAsync(
                    engine,
                    [
                        "bench", "engine", "--engine", engine, "--db", Path.Combine(place, engine), "--disable-wal", "--output", "json",
                        "--benchmarks", string.Join(",", EngineComparison.Workloads.Where(w => EngineComparison.Has(engine, w))),
                        "--num", Number(parse.GetValue(num)), "--value-size", Number(parse.GetValue(valueSize)),
                        "--memory", Number(parse.GetValue(memory)),
                    ],
                    cancellation));
                Delete(Path.Combine(place, engine));
            }

            Show(context, globals.IsJson(parse), runs);
            if (parse.GetValue(html) is { } page)
            {
                string title = $"Henge's storage engines: {parse.GetValue(num):#,0} entries, values of {parse.GetValue(valueSize)} bytes";
                await File.WriteAllTextAsync(page, EngineComparison.ToHtml(title, runs), cancellation);
            }

            foreach (EngineRun run in runs.Where(static r => r.Problem is not null))
            {
                context.Error.WriteLine($"{run.Engine}: {run.Problem}");
            }

            return runs.Exists(static r => r.Problem is not null) ? ExitCode.SomeFailed : ExitCode.Ok;
        });
        return command.WithExamples("henge bench engines --num 1000000 --html engines.html");
    }

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static async Task<EngineRun> RunAsync(string engine, IReadOnlyList<string> arguments, CancellationToken cancellation)
    {
        string program = Environment.ProcessPath
            ?? throw new UsageException("The path of this program is not known, so that it cannot run an engine in a process of its own.");
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(program) == "dotnet")
        {
            start.ArgumentList.Add(typeof(EnginesBenchCommand).Assembly.Location);
        }

        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using Process process = Process.Start(start)
            ?? throw new UsageException($"{program} could not be started.");
        using CancellationTokenRegistration kill = cancellation.Register(() =>
        {
            try
            {
                process.Kill();
            }
            catch (InvalidOperationException)
            {
                // It has ended.
            }
        });
        Task<string> error = process.StandardError.ReadToEndAsync(CancellationToken.None);
        string output = await process.StandardOutput.ReadToEndAsync(CancellationToken.None);
        await process.WaitForExitAsync(CancellationToken.None);
        cancellation.ThrowIfCancellationRequested();
        return process.ExitCode == 0
            ? new EngineRun(engine, EngineComparison.Parse(output))
            : new EngineRun(engine, [], (await error).Trim());
    }

    private static void Show(CliContext context, bool isJson, List<EngineRun> runs)
    {
        if (isJson)
        {
            JsonForm.WriteLine(context.Output, json =>
            {
                foreach (EngineRun run in runs)
                {
                    json.WritePropertyName(run.Engine);
                    json.WriteRawValue(EngineBenchReport.ToJson(run.Results));
                }
            });
            return;
        }

        foreach ((string title, string[] head, IReadOnlyList<string[]> rows) in EngineComparison.Tables(runs))
        {
            Table table = new Table(head).AlignRight([.. Enumerable.Range(1, runs.Count)]);
            foreach (string[] row in rows)
            {
                table.Add(row);
            }

            context.Output.WriteLine(title);
            context.Output.WriteLine("");
            context.Output.WriteLine(table.ToString());
        }
    }

    private static void Delete(string directory)
    {
        if (Directory.Exists(directory))
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
