using System.CommandLine;
using System.Globalization;
using System.Net.Security;
using System.Runtime;
using System.Runtime.CompilerServices;
using Henge.Bench.Engine;
using Henge.Bench.Load;
using Henge.Bench.Targets;
using Henge.Cli;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Cli.Parsing;

namespace Henge.Tool.Commands;

/// <summary><c>henge bench</c>: puts a load on a cluster or on a peer of ours, or runs db_bench's workloads on the engine.</summary>
internal static class BenchCommand
{
    private const int MostChanges = 20;

    public static Command Create(CliContext context, GlobalOptions globals, bool wanted)
    {
        Command command = new("bench", NodeCommands.DescriptionOf("bench"));
        if (wanted)
        {
            AddLoad(command, context, globals);
            command.Add(EngineBenchCommand.Create(context, globals));
            command.Add(EnginesBenchCommand.Create(context, globals));
        }

        return command.WithExamples(
            "henge bench --operations 1000000 --concurrency 64 --value-size 256 --read-ratio 0.8",
            "henge bench --target grpc:// --concurrency 64 --read-ratio 0",
            "henge bench --target redis://127.0.0.1:6379 --pipeline 16",
            "henge bench --read-ratio 1 --preload false   # keys that are there already",
            "henge bench --workload A --duration 30s --rate 20000 --html report.html",
            "henge bench engine --benchmarks fillrandom,readrandom --num 1000000",
            "henge bench engines --html engines.html");
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void AddLoad(Command command, CliContext context, GlobalOptions globals)
    {
        Option<string> target = CommandExtensions.OptionOf(
            "--target",
            "What to measure: henge:// (sessions), grpc:// (a call for each operation), redis://, thrift://, etcd:// (v3). "
                + "Without addresses: --peers.",
            "url",
            "henge://");
        Option<long?> operations = new("--operations")
        {
            Description = "How many operations. [default: 1000000, or until --duration is over]",
            HelpName = "count",
        };
        Option<string?> duration = new("--duration") { Description = "How long, in place of --operations.", HelpName = "time" };
        Option<string> warmUp = CommandExtensions.OptionOf("--warm-up", "Not measured, before the start.", "time", "1s");
        Option<int> concurrency = CommandExtensions.OptionOf(
            "--concurrency",
            "Workers, each with --pipeline operations under way.",
            "count",
            64);
        Option<int> pipeline = CommandExtensions.OptionOf("--pipeline", "Operations that each worker keeps under way.", "count", 1);
        Option<int> valueSize = CommandExtensions.OptionOf("--value-size", "Bytes of a value.", "bytes", 64);
        Option<long> keys = CommandExtensions.OptionOf<long>("--keys", "Keys that there are.", "count", 100_000);
        Option<double> readRatio = CommandExtensions.OptionOf("--read-ratio", "Share of reads, from 0 to 1.", "share", 0.8);
        Option<string> distribution = GlobalOptions.OneOf(
            "--distribution",
            "How keys are chosen.",
            "uniform",
            "zipfian",
            "sequential",
            "latest");
        Option<string?> workload = new("--workload")
        {
            Description = "A workload of YCSB, A to F, in place of --read-ratio and --distribution.",
            HelpName = "name",
        };
        Option<double> rate = new("--rate")
        {
            Description = "Operations a second, in an open loop without coordinated omission; 0: as fast as answers come.",
            HelpName = "count",
        };
        Option<bool?> preload = new("--preload")
        {
            Description = "Write all keys once before the start, so that reads find them. [default: true where there are reads]",
            HelpName = "true|false",
        };
        Option<int> streams = CommandExtensions.OptionOf("--streams", "Sessions to each node, with henge://.", "count", 2);
        Option<string> consistency = GlobalOptions.OneOf(
            "--consistency",
            "How reads are made sure of.",
            "default",
            "linearizable",
            "lease",
            "stale");
        Option<int> seed = CommandExtensions.OptionOf("--seed", "Seed of keys and mix.", "number", 1);
        Option<string?> html = new("--html") { Description = "Write a page with plots to this file.", HelpName = "file" };
        Option<int[]> processes = new("--server-pid")
        {
            Description = "Tell the CPU time of this local process beside the figures; may be repeated.",
            HelpName = "pid",
        };
        foreach (
            Option option in (Option[])
                [
                    target,
                    operations,
                    duration,
                    warmUp,
                    concurrency,
                    pipeline,
                    valueSize,
                    keys,
                    readRatio,
                    distribution,
                    workload,
                    rate,
                    preload,
                    streams,
                    consistency,
                    seed,
                    html,
                    processes,
                ])
        {
            command.Add(option);
        }

        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            double reads = parse.GetValue(readRatio);
            if (reads is not (>= 0 and <= 1))
            {
                throw new UsageException("--read-ratio must be from 0 to 1.");
            }

            KeyDistributionKind kind = parse.GetValue(distribution) switch
            {
                "zipfian" => KeyDistributionKind.Zipfian,
                "sequential" => KeyDistributionKind.Sequential,
                "latest" => KeyDistributionKind.Latest,
                _ => KeyDistributionKind.Uniform,
            };
            Workload mix = parse.GetValue(workload) is { } name ? Workload.Ycsb(name) : Workload.FromRatio(reads, kind);
            LoadOptions options = new()
            {
                Concurrency = parse.GetValue(concurrency),
                Pipeline = parse.GetValue(pipeline),
                Operations = parse.GetValue(operations) ?? (parse.GetValue(duration) is null ? 1_000_000 : 0),
                Duration = Durations.Parse(parse.GetValue(duration) ?? "10s"),
                WarmUp = Durations.Parse(parse.GetRequiredValue(warmUp)),
                Rate = parse.GetValue(rate),
                ValueBytes = parse.GetValue(valueSize),
                Keys = parse.GetValue(keys),
                Preload = parse.GetValue(preload) ?? mix.Reads,
                Workload = mix,
                Seed = parse.GetValue(seed),
            };
            options.Validate();
            Client.ReadConsistency made = parse.GetValue(consistency) switch
            {
                "linearizable" => Client.ReadConsistency.Linearizable,
                "lease" => Client.ReadConsistency.Lease,
                "stale" => Client.ReadConsistency.Stale,
                _ => Client.ReadConsistency.Default,
            };
            ILoadTarget measured = TargetOf(
                parse.GetRequiredValue(target),
                globals.PeerList(parse),
                made,
                parse.GetValue(streams),
                globals.TlsOf(parse),
                client => globals.SignIn(parse, client));
            await using (measured.ConfigureAwait(false))
            {
                return await RunAsync(context, globals.IsJson(parse), measured, options, parse.GetValue(html),
                    parse.GetValue(processes) ?? [], cancellationToken)
                    .ConfigureAwait(false);
            }
        });
    }

    private static async Task<int> RunAsync(
        CliContext context,
        bool json,
        ILoadTarget target,
        LoadOptions options,
        string? html,
        int[] processes,
        CancellationToken cancellationToken)
    {
        // A thousand calls under way live long enough to grow old, and a collector in the background then runs all the time, on a core that
        // is measured.
        GCSettings.LatencyMode = GCLatencyMode.Batch;
        LoadRunner runner = new(target, options) { ServerProcesses = processes };
        LoadResult result = await runner.RunAsync(new LiveLine(context), cancellationToken).ConfigureAwait(false);
        LiveLine.Clear(context);
        if (json)
        {
            context.Output.WriteLine(result.ToJson());
        }
        else
        {
            Write(context, result);
        }

        if (html is not null)
        {
            await File.WriteAllTextAsync(html, HtmlReport.Create("Henge load test", [result]), cancellationToken).ConfigureAwait(false);
        }

        return result.Errors == 0 ? ExitCode.Ok : result.Operations == 0 ? ExitCode.Unavailable : ExitCode.SomeFailed;
    }

    private static void Write(CliContext context, LoadResult result)
    {
        string F(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
        context.Output.WriteLine(
            $"Target: {result.Target} | Workload: {result.Workload} | Workers: {result.Concurrency} x {result.Pipeline} | Values: "
                + $"{result.ValueBytes} B");
        context.Output.WriteLine(
            $"Operations: {F(result.Operations, "#,0")} in {F(result.Seconds, "0.0")} s = {F(result.OperationsPerSecond, "#,0")}/s | "
                + $"Errors: {F(result.Errors, "#,0")} | Not found: {F(result.Missing, "#,0")}");
        if (result.ServerCpuSeconds > 0)
        {
            context.Output.WriteLine(
                $"Server CPU: {F(result.ServerCpuSeconds, "0.0")} s = "
                    + $"{F(result.ServerCpuSeconds * 1e6 / Math.Max(1, result.Operations), "0.0")} us for an operation");
        }

        context.Output.WriteLine();
        Table table = new Table("", "COUNT", "MEAN ms", "P50", "P95", "P99", "P99.9", "MAX").AlignRight(1, 2, 3, 4, 5, 6, 7);
        foreach (
            (string name, LatencySummary latency) in ((string, LatencySummary)[])
                [("reads", result.Reads), ("writes", result.Writes), ("all", result.All)])
        {
            if (latency.Count > 0)
            {
                table.Add(
                    name,
                    F(latency.Count, "#,0"),
                    F(latency.MeanMs, "0.000"),
                    F(latency.P50Ms, "0.000"),
                    F(latency.P95Ms, "0.000"),
                    F(latency.P99Ms, "0.000"),
                    F(latency.P999Ms, "0.000"),
                    F(latency.MaxMs, "0.000"));
            }
        }

        context.Output.Write(table.ToString());
        foreach (ClusterChange change in result.Changes.Take(MostChanges))
        {
            context.Output.WriteLine($"{F(change.Seconds, "0.0")} s: {change.Text}");
        }

        if (result.Changes.Count > MostChanges)
        {
            context.Output.WriteLine($"... and {result.Changes.Count - MostChanges} more changes (all with --output json)");
        }

        foreach ((string message, long count) in result.ErrorMessages)
        {
            context.Output.WriteLine($"{F(count, "#,0")} x {message}");
        }
    }

    private static ILoadTarget TargetOf(
        string url,
        string[] peers,
        Client.ReadConsistency consistency,
        int streams,
        SslClientAuthenticationOptions? tls,
        Action<Client.HengeClientOptions> signIn)
    {
        int colon = url.IndexOf("://", StringComparison.Ordinal);
        string scheme = colon > 0 ? url[..colon] : "";
        string[] addresses =
            colon > 0 ? url[(colon + 3)..].Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) : [];
        addresses = addresses.Length > 0 ? addresses : peers;
        return scheme switch
        {
            "henge" => new HengeTarget(addresses, sessions: true, consistency, streams, tls, signIn),
            "grpc" => new HengeTarget(addresses, sessions: false, consistency, tls: tls, signIn: signIn),
            "etcd" => new EtcdTarget(addresses, consistency),
            "redis" => new RedisTarget([.. addresses.Select(HostAndPort)], tls),
            "thrift" => new ThriftTarget([.. addresses.Select(HostAndPort)], consistency, tls, signIn),
            _ => throw new UsageException(
                $"--target {url} is not a target; write henge://, grpc://, redis://host:port, thrift://host:port or "
                    + "etcd://host:port."),
        };
    }

    private static (string Host, int Port) HostAndPort(string address)
    {
        string parsed = Client.Settings.PeerAddress.Parse(address);
        int colon = parsed.LastIndexOf(':');
        return (parsed[..colon].Trim('[', ']'), int.Parse(parsed.AsSpan(colon + 1), CultureInfo.InvariantCulture));
    }

    /// <summary>One line on the terminal that says how far it is.</summary>
    private sealed class LiveLine(CliContext context) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value)
        {
            if (context.ErrorIsTerminal)
            {
                context.Error.Write(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"\r{value.Phase} {value.Share:P0}  {value.Operations:#,0} operations  {value.OperationsPerSecond:#,0}/s  "
                            + $"{value.Errors:#,0} errors\u001b[K"));
                context.Error.Flush();
            }
        }

        public static void Clear(CliContext context)
        {
            if (context.ErrorIsTerminal)
            {
                context.Error.Write("\r\u001b[K");
            }
        }
    }
}

/// <summary><c>henge bench engine</c>: db_bench's workloads, under its names.</summary>
internal static class EngineBenchCommand
{
    public static Command Create(CliContext context, GlobalOptions globals)
    {
        EngineBenchOptions defaults = new() { Directory = "" };
        Option<string> directory = CommandExtensions.OptionOf(
            "--db",
            "An empty directory for the data.",
            "directory",
            Path.Combine(Path.GetTempPath(), "henge-bench-engine"));
        Option<string> benchmarks = new("--benchmarks")
        {
            Description = "Workloads, in order: " + string.Join(",", EngineBenchOptions.AllBenchmarks) + ".",
            HelpName = "names",
            DefaultValueFactory = _ => string.Join(",", EngineBenchOptions.AllBenchmarks),
        };
        Option<long> num = CommandExtensions.OptionOf("--num", "Entries.", "count", defaults.Num);
        Option<long> reads = CommandExtensions.OptionOf(
            "--reads",
            "Reads of the read workloads; -1: as many as entries.",
            "count",
            defaults.Reads);
        Option<long> writes = CommandExtensions.OptionOf(
            "--writes",
            "Writes for each thread; -1: as many as entries, and a thousandth in fillsync.",
            "count",
            defaults.Writes);
        Option<int> keySize = CommandExtensions.OptionOf("--key-size", "Bytes of a key.", "bytes", defaults.KeyBytes);
        Option<int> valueSize = CommandExtensions.OptionOf("--value-size", "Bytes of a value.", "bytes", defaults.ValueBytes);
        Option<int> threads = CommandExtensions.OptionOf("--threads", "Threads of the read workloads.", "count", defaults.Threads);
        Option<int> seed = CommandExtensions.OptionOf("--seed", "Seed of keys.", "number", defaults.Seed);
        Option<int> seekNexts = CommandExtensions.OptionOf("--seek-nexts", "Steps behind each seek.", "count", defaults.SeekNexts);
        Option<long> memory = CommandExtensions.OptionOf(
            "--memory",
            "Memory for memtables and cache, in bytes.",
            "bytes",
            defaults.MemoryBytes);
        Option<bool> sync = new("--sync") { Description = "Sync every write." };
        Option<bool> noLog = new("--disable-wal") { Description = "Write no log, as under Raft." };
        Option<int> bloom = CommandExtensions.OptionOf("--bloom-bits", "Bits a key of the Bloom filters.", "count", defaults.BloomBits);
        Option<string> engine = GlobalOptions.OneOf("--engine", "Which engine.", "lsm", "bitcask", "memory", "rocksdb");
        Option<bool> existing = new("--use-existing-db") { Description = "Go on with the data that is there." };
        Command command = new("engine", "Run db_bench's workloads on the storage engine.")
        {
            directory,
            benchmarks,
            num,
            reads,
            writes,
            keySize,
            valueSize,
            threads,
            seed,
            seekNexts,
            memory,
            sync,
            noLog,
            bloom,
            engine,
            existing,
        };
        command.Do(context, globals, (parse, _) =>
        {
            EngineBenchOptions options = new()
            {
                Directory = parse.GetRequiredValue(directory),
                Benchmarks = parse.GetRequiredValue(benchmarks).Split(',',
                    StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries),
                Num = parse.GetValue(num),
                Reads = parse.GetValue(reads),
                Writes = parse.GetValue(writes),
                KeyBytes = parse.GetValue(keySize),
                ValueBytes = parse.GetValue(valueSize),
                Threads = parse.GetValue(threads),
                Seed = parse.GetValue(seed),
                SeekNexts = parse.GetValue(seekNexts),
                MemoryBytes = parse.GetValue(memory),
                Sync = parse.GetValue(sync),
                DisableLog = parse.GetValue(noLog),
                BloomBits = parse.GetValue(bloom),
                Engine = parse.GetRequiredValue(engine),
                UseExisting = parse.GetValue(existing),
            };
            bool json = globals.IsJson(parse);
            List<EngineBenchResult> results = [];
            using EngineBench bench = new(options);
            if (!json)
            {
                context.Output.WriteLine(EngineBenchReport.Header);
                context.Output.Flush();
            }

            bench.Run(
                result =>
                {
                    results.Add(result);
                    if (!json)
                    {
                        context.Output.WriteLine(EngineBenchReport.Line(result));
                        context.Output.Flush();
                    }
                },
                note => context.Error.WriteLine(note));
            if (json)
            {
                context.Output.WriteLine(EngineBenchReport.ToJson(results));
            }

            return Task.FromResult(ExitCode.Ok);
        });
        return command.WithExamples("henge bench engine --num 1000000 --benchmarks fillseq,readrandom,readseq");
    }
}
