using System.Diagnostics;
using System.Globalization;
using Henge.Client;
using Henge.Core;
using Henge.EndToEnd.Tests.Harness;
using Wire = Henge.Protocol.V1;

namespace Henge.EndToEnd.Tests;

/// <summary>A cluster that grows and shrinks under load, while its nodes are killed: from three nodes to five, and back.</summary>
public sealed class ElasticTests
{
    private const int Clients = 4;

    // Over all shards.
    private static readonly string[] Keys =
        [.. Enumerable.Range(0, 24).Select(static k => string.Create(CultureInfo.InvariantCulture, $"elastic:{k}"))];

    [Fact]
    public async Task From_three_nodes_to_five_and_back_under_load_with_a_kill_in_each_step_nothing_is_lost()
    {
        using CancellationTokenSource limit = Rounds.Limit(times: 3);
        await using ClusterProcesses cluster = new(3, limit.Token);
        await cluster.StartAllAsync();
        Recorder recorder = new();
        using CancellationTokenSource done = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
        Task[] clients = [.. Enumerable.Range(0, Clients).Select(n => WorkAsync(cluster, recorder, n, done.Token))];
        await MoreAsync(cluster, recorder, 200);

        // Two at once. The fourth is killed when replicas have begun to move to it, and one that was there before as well.
        string[] addresses = [ClusterProcesses.FreeAddress(), ClusterProcesses.FreeAddress()];
        string[] join = ["--join", string.Join(',', cluster.Addresses)];
        using HengeProcess killed = HengeProcess.Start(cluster.Joining("n4", addresses[0], join));
        using HengeProcess fifth = HengeProcess.Start(cluster.Joining("n5", addresses[1], join));
        using HengeClient asker = cluster.Client();
        await cluster.UntilAsync(
            "a shard has come to n4",
            () => PlacesAsync(asker, addresses[0], static places => places.Any(static s => s.Contains("n4"))));
        killed.Kill();
        using HengeProcess fourth = HengeProcess.Start(cluster.Joining("n4", addresses[0]));
        cluster.Kill(1);
        cluster.Start(1);
        await cluster.UntilAsync("every shard has three replicas, and each node its share", () => PlacesAsync(
            asker,
            cluster.Addresses[0],
            static places => places.All(static s => s.Count == 3)
                && new[] { "n1", "n2", "n3", "n4", "n5" }.All(n => places.Count(s => s.Contains(n)) is 2 or 3)));
        await MoreAsync(cluster, recorder, 200);

        // Back: while the fifth leaves, the first is killed.
        Task<(int ExitCode, string Printed)> leaving = RunAsync("cluster", "remove", "n5", "--wait");
        cluster.Kill(0);
        cluster.Start(0);
        (int exitCode, string printed) = await leaving;
        Assert.True(exitCode == 0, printed);
        (exitCode, printed) = await RunAsync("cluster", "remove", "n4", "--wait");
        Assert.True(exitCode == 0, printed);
        Assert.Equal((0, 0), (await fifth.WaitForExitAsync(limit.Token), await fourth.WaitForExitAsync(limit.Token)));
        await cluster.UntilAsync("all is where it was", () => PlacesAsync(
            asker,
            cluster.Addresses[0],
            static places => places.All(static s => s.SetEquals(["n1", "n2", "n3"]))));
        await MoreAsync(cluster, recorder, 200);
        await done.CancelAsync();
        await Task.WhenAll(clients);

        recorder.CheckLinearizable();
        await recorder.CheckNothingLostAsync(asker, limit.Token);
        TestContext.Current.TestOutputHelper!.WriteLine($"{recorder.Acknowledged} acknowledged writes");

        async Task<(int ExitCode, string Printed)> RunAsync(params string[] arguments)
        {
            using HengeProcess process = HengeProcess.Start(
                [.. arguments, "--timeout", "60s", "--peers", string.Join(',', cluster.Addresses)]);
            return (await process.WaitForExitAsync(limit.Token), process.Printed);
        }
    }

    private static async Task WorkAsync(ClusterProcesses cluster, Recorder recorder, int number, CancellationToken cancel)
    {
        Random random = new(number);
        using HengeClient client = cluster.Client();
        using PeriodicTimer pace = Load.Pace();
        while (await Load.TickAsync(pace, cancel))
        {
            string key = Keys[random.Next(Keys.Length)];
            if (random.Next(2) == 0)
            {
                await recorder.PutAsync(client, number, key, cancel);
            }
            else
            {
                await recorder.GetAsync(client, number, key, ReadConsistency.Linearizable, cancel);
            }
        }
    }

    private static async Task MoreAsync(ClusterProcesses cluster, Recorder recorder, int writes)
    {
        long before = recorder.Acknowledged;
        await cluster.UntilAsync("the clients have written more", () => Task.FromResult(recorder.Acknowledged >= before + writes));
    }

    private static async Task<bool> PlacesAsync(HengeClient client, string address, Func<IReadOnlyList<HashSet<string>>, bool> holds)
    {
        try
        {
            Wire.TopologyResponse topology = await client.TopologyAsync(address);
            return topology.Shards.Count > 0
                && holds([.. topology.Shards.Select(static s => s.Replicas.ToHashSet(StringComparer.Ordinal))]);
        }
        catch (HengeException)
        {
            return false;
        }
    }
}
