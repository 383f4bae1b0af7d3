using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Henge.Core;
using Henge.Simulation;
using Henge.Simulation.Clients;
using Henge.Simulation.Scale;
using Henge.Simulation.World;

// dotnet run -c Release --project tests/Henge.Simulation -- --seeds 1000 [--from S] [--planned] [--keep-going] [--jobs J] |
// --seed S [--trace] | --canaries [--canary NAME] | --scale
Invariant.Failed = static message => throw new SimulationException("Invariant broken: " + message);
return Campaign.Run(args);

/// <summary>The command line of the simulator.</summary>
internal static class Campaign
{
    public static int Run(string[] args)
    {
        string? Option(string name) => Array.IndexOf(args, name) is int i and >= 0 && i + 1 < args.Length ? args[i + 1] : null;
        Canary canary = Option("--canary") is { } name ? Enum.Parse<Canary>(name, ignoreCase: true) : Canary.None;
        if (Option("--seed") is { } seed)
        {
            return Replay(ulong.Parse(seed, CultureInfo.InvariantCulture), canary, args.Contains("--trace"));
        }

        if (args.Contains("--scale"))
        {
            ScaleRun.Print(Console.Out);
            return 0;
        }

        if (args.Contains("--canaries"))
        {
            return RunCanaries(canary);
        }

        int seeds = int.Parse(Option("--seeds") ?? "100", CultureInfo.InvariantCulture);
        ulong from = ulong.Parse(Option("--from") ?? "1", CultureInfo.InvariantCulture);
        int jobs = int.Parse(
            Option("--jobs") ?? Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture),
            CultureInfo.InvariantCulture);
        ulong[] chosen =
        [
            .. Enumerable
                .InfiniteSequence(from, 1UL)
                .Where(s => !args.Contains("--planned") || SimCluster.IsPlannedBy(s))
                .Take(seeds),
        ];
        return RunMany(chosen, canary, args.Contains("--keep-going"), jobs);
    }

    private static int Replay(ulong seed, Canary canary, bool trace)
    {
        SimResult result = SimRun.Run(seed, canary, trace);
        if (trace)
        {
            Console.WriteLine(result.Trace);
        }

        Console.WriteLine($"seed {seed}: {(result.Failure is null ? "ok" : "FAILED: " + result.Failure)}");
        Console.WriteLine($"trace hash {result.TraceHash:x16}, {result.Events} events in {result.VirtualMs / 1000.0:F1} virtual seconds");
        return result.Failure is null ? 0 : 1;
    }

    private static int RunMany(ulong[] seeds, Canary canary, bool keepGoing, int jobs)
    {
        var watch = Stopwatch.StartNew();
        var statistics = new SimStatistics();
        var gate = new Lock();
        long virtualMs = 0, events = 0, done = 0, failures = 0;
        SimResult? failed = null;
        int next = -1;
        bool stop = false;
        void Work()
        {
            while (!Volatile.Read(ref stop) && Interlocked.Increment(ref next) is int i && i < seeds.Length)
            {
                SimResult result = SimRun.Run(seeds[i], canary);
                lock (gate)
                {
                    virtualMs += result.VirtualMs;
                    events += result.Events;
                    statistics.Add(result.Statistics);
                    done++;
                    if (result.Failure is not null)
                    {
                        failures++;
                        failed = failed is null || result.Seed < failed.Seed ? result : failed;
                        Volatile.Write(ref stop, !keepGoing);
                        if (keepGoing)
                        {
                            Console.WriteLine($"seed {result.Seed} FAILED: {result.Failure}");
                            Console.Out.Flush();
                        }
                    }

                    if (done % 100 == 0)
                    {
                        Console.Error.WriteLine($"{done} of {seeds.Length} seeds, {failures} failed, {watch.Elapsed.TotalSeconds:F0} s");
                    }
                }
            }
        }

        // Asked to end, it ends with the table of what it did.
        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            Volatile.Write(ref stop, true);
        }

        using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);

        // Threads of its own: the pool would begin more and more seeds at once while none is done, and each of them holds a cluster in
        // memory.
        Thread[] threads = [.. Enumerable.Range(0, jobs).Select(_ => new Thread(Work, 16 * 1024 * 1024))];
        Array.ForEach(threads, static t => t.Start());
        Array.ForEach(threads, static t => t.Join());

        Console.WriteLine($"{"seeds",-28}{done,14:N0}");
        Console.WriteLine($"{"simulated hours",-28}{virtualMs / 3_600_000.0,14:F2}");
        Console.WriteLine($"{"events",-28}{events,14:N0}");
        foreach ((string name, long count) in statistics.All())
        {
            Console.WriteLine($"{name,-28}{count,14:N0}");
        }

        Console.WriteLine($"{"seconds",-28}{watch.Elapsed.TotalSeconds,14:F1}");
        if (failed is not null)
        {
            Console.WriteLine($"seed {failed.Seed} FAILED: {failed.Failure}");
            Console.WriteLine(
                $"replay: dotnet run -c Release --project tests/Henge.Simulation -- --seed {failed.Seed} "
                    + $"--trace{(canary == Canary.None ? "" : " --canary " + canary)}");
            Console.WriteLine($"{done} seeds ran, {failures} failed, in {watch.Elapsed.TotalSeconds:F1} s");
            return 1;
        }

        string[] missing = [.. statistics.Missing()];
        if (missing.Length > 0 && done >= 200)
        {
            Console.WriteLine("These never happened, so nothing is known about them: " + string.Join(", ", missing));
            return 1;
        }

        return 0;
    }

    private static int RunCanaries(Canary only)
    {
        int missed = 0;
        foreach (Canary canary in only != Canary.None ? [only] : Enum.GetValues<Canary>().Where(static c => c != Canary.None))
        {
            int found = CanaryHunt.Find(canary, out string? how);
            missed += found < 0 ? 1 : 0;
            Console.WriteLine(
                found < 0 ? $"{canary,-28} NOT FOUND within {canary.Budget()} seeds" : $"{canary,-28} found by seed {found,4}: {how}");
        }

        return missed == 0 ? 0 : 1;
    }
}
