using System.Diagnostics;
using System.Globalization;
using Henge.Client;
using Henge.EndToEnd.Tests.Harness;
using Henge.Simulation.Checking;

namespace Henge.EndToEnd.Tests;

/// <summary>Three processes, of which the one that leads is taken away under load.</summary>
public sealed class FailoverTests
{
    private const int Clients = 6;

    [Fact]
    public async Task Clients_see_one_order_while_leaders_are_killed_and_nothing_acknowledged_is_lost()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(3, limit.Token);
        await cluster.StartAllAsync();
        Recorder recorder = new();
        List<double> outagesMs = [];
        using CancellationTokenSource enough = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
        Task[] load = [.. Enumerable.Range(0, Clients).Select(c => Load.MixedAsync(cluster, recorder, c, enough.Token))];
        for (int round = 0; round < Rounds.Count; round++)
        {
            long before = recorder.Acknowledged;
            await cluster.UntilAsync("the load runs", () => Task.FromResult(recorder.Acknowledged >= before + 50));
            int leader = await cluster.LeaderAsync(Load.Keys[0]);
            long killed = Stopwatch.GetTimestamp();
            cluster.Kill(leader);
            KeyOperation? first = null;
            await cluster.UntilAsync(
                "a write is acknowledged again",
                () =>
                {
                    first = recorder
                        .Operations.Where(o => o is { Action: KeyAction.Write, Outcome: KeyOutcome.Ok } && o.Call > killed)
                        .MinBy(static o => o.Return);
                    return Task.FromResult(first is not null);
                });
            outagesMs.Add(Stopwatch.GetElapsedTime(killed, first!.Return).TotalMilliseconds);
            cluster.Start(leader);
            await cluster.WaitReadyAsync(cluster.All);
        }

        await enough.CancelAsync();
        await Task.WhenAll(load);
        recorder.CheckLinearizable();
        using HengeClient client = cluster.Client();
        await recorder.CheckNothingLostAsync(client, limit.Token);
        await cluster.WaitEqualAsync();
        outagesMs.Sort();
        TestContext.Current.TestOutputHelper!.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{outagesMs.Count} leaders killed; to the next acknowledged write: median {outagesMs[outagesMs.Count / 2]:F0} ms, worst "
                    + $"{outagesMs[^1]:F0} ms; {recorder.Acknowledged} writes acknowledged, {recorder.Operations.Count()} operations "
                    + $"checked"));
    }

    [Fact]
    public async Task A_leader_that_was_stopped_for_a_while_answers_no_stale_read()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(3, limit.Token);
        await cluster.StartAllAsync();
        Recorder recorder = new();
        using CancellationTokenSource enough = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
        int leader = await cluster.LeaderAsync(Load.Keys[0]);
        int[] others = [.. cluster.All.Where(n => n != leader)];
        Task[] writers = [.. Enumerable.Range(0, 2).Select(c => WriteAsync(cluster, recorder, c, others, enough.Token))];

        // They ask nobody but the leader, and patiently: what they sent while it stood still is answered when it goes on, and that is where
        // old values would show.
        long answered = 0;
        Task[] readers =
        [
            .. Enumerable
                .Range(0, 4)
                .Select(c =>
                    ReadAsync(
                        cluster,
                        recorder,
                        10 + c,
                        leader,
                        c % 2 == 0 ? ReadConsistency.Linearizable : ReadConsistency.Lease,
                        () => Interlocked.Increment(ref answered),
                        enough.Token)),
        ];
        await cluster.UntilAsync(
            "the load runs",
            () => Task.FromResult(recorder.Acknowledged >= 20 && Interlocked.Read(ref answered) >= 50));
        cluster[leader].Pause();
        long paused = Stopwatch.GetTimestamp();
        try
        {
            await cluster.LeaderAsync(Load.Keys[0], others);
            long before = recorder.Acknowledged;
            await cluster.UntilAsync(
                "the others have gone on, and two seconds have passed",
                () => Task.FromResult(recorder.Acknowledged >= before + 20 && Stopwatch.GetElapsedTime(paused) >= TimeSpan.FromSeconds(2)));
        }
        finally
        {
            cluster[leader].Resume();
        }

        long answeredBefore = Interlocked.Read(ref answered);
        await cluster.UntilAsync(
            "the readers have been answered again",
            () => Task.FromResult(Interlocked.Read(ref answered) >= answeredBefore + 100));
        await enough.CancelAsync();
        await Task.WhenAll([.. writers, .. readers]);
        recorder.CheckLinearizable();
    }

    private static async Task WriteAsync(ClusterProcesses cluster, Recorder recorder, int number, int[] nodes, CancellationToken cancel)
    {
        using HengeClient client = cluster.Client(new HengeClientOptions { RouteToLeaders = false }, nodes);
        using PeriodicTimer pace = Load.Pace();
        while (await Load.TickAsync(pace, cancel))
        {
            await recorder.PutAsync(client, number, Load.Keys[number % 2], cancel);
        }
    }

    private static async Task ReadAsync(
        ClusterProcesses cluster,
        Recorder recorder,
        int number,
        int node,
        ReadConsistency consistency,
        Action onAnswer,
        CancellationToken cancel)
    {
        TimeSpan patience = TimeSpan.FromSeconds(10);
        using HengeClient client = cluster.Client(
            new HengeClientOptions
            {
                RouteToLeaders = false,
                AttemptTimeout = patience,
                DefaultDeadline = patience,
            },
            node);
        using PeriodicTimer pace = Load.Pace();
        while (await Load.TickAsync(pace, cancel))
        {
            if (await recorder.GetAsync(client, number, Load.Keys[(number >> 1) % 2], consistency, cancel))
            {
                onAnswer();
            }
        }
    }
}
