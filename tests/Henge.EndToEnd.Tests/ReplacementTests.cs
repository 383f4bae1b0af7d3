using Henge.Client;
using Henge.EndToEnd.Tests.Harness;

namespace Henge.EndToEnd.Tests;

/// <summary>A node dies for good, under load, and others take its place: as somebody says, or by themselves.</summary>
public sealed class ReplacementTests
{
    private const int Clients = 4;

    // Longer than any node here takes to come back, so that a client has no reason to tell of an error.
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_dead_node_is_replaced_by_another_under_load_while_that_one_and_a_third_are_killed()
    {
        using CancellationTokenSource limit = Rounds.Limit(times: 2);
        await using ClusterProcesses cluster = new(3, limit.Token);
        await cluster.StartAllAsync();
        Recorder recorder = new();
        using Operator asker = new(cluster, limit.Token);
        using CancellationTokenSource done = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
        Task load = Load.SpreadAsync(cluster, recorder, Clients, Deadline, done.Token);
        await asker.MoreAsync(recorder, 100);

        cluster.Kill(2);
        string address = ClusterProcesses.FreeAddress();
        using HengeProcess killed = HengeProcess.Start(cluster.Joining("n4", address, "--join", string.Join(',', cluster.Addresses)));
        await asker.UntilTopologyAsync(
            "n4 is up",
            cluster.Addresses[0],
            static topology => topology.Nodes.Any(static n => n.NodeId == "n4" && n.State == "up"));
        Assert.Contains(
            "n4 takes the place of n3",
            await asker.DoAsync("cluster", "replace", "n3", "--with", "n4"),
            StringComparison.Ordinal);
        killed.Kill();
        using HengeProcess fourth = HengeProcess.Start(cluster.Joining("n4", address));
        cluster.Kill(0);
        cluster.Start(0);

        await asker.UntilPlacesAsync(
            "n4 has what n3 had",
            cluster.Addresses[1],
            static places => places.All(static s => s.SetEquals(["n1", "n2", "n4"])));
        await asker.UntilTopologyAsync(
            "n3 has left",
            cluster.Addresses[1],
            static topology => topology.Nodes.All(static n => n.NodeId != "n3"));

        // Who comes back from the dead is told so: its number is given up for ever.
        cluster.Start(2);
        Assert.Equal(0, await cluster[2].WaitForExitAsync(limit.Token));
        Assert.Contains("has left its cluster", cluster[2].Printed, StringComparison.Ordinal);
        await asker.MoreAsync(recorder, 100);
        await done.CancelAsync();
        await load;
        await CheckAsync(cluster, recorder, limit.Token);
    }

    [Fact]
    public async Task A_node_that_stays_away_is_replaced_by_those_there_are_under_load_while_one_of_them_is_killed()
    {
        using CancellationTokenSource limit = Rounds.Limit(times: 2);
        await using ClusterProcesses cluster = new(4, limit.Token, replicas: 3);
        await cluster.StartAllAsync();
        Recorder recorder = new();
        using Operator asker = new(cluster, limit.Token);
        await asker.DoAsync("cluster", "set", "replace-after", "3s");
        using CancellationTokenSource done = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
        Task load = Load.SpreadAsync(cluster, recorder, Clients, Deadline, done.Token);
        await asker.MoreAsync(recorder, 100);

        // Nobody says anything. With three left, each has every shard.
        cluster.Kill(3);
        await asker.UntilPlacesAsync(
            "a shard of n4 is being made elsewhere",
            cluster.Addresses[1],
            static places => places.Any(static s => s.IsSupersetOf(["n1", "n2", "n3"])));
        cluster.Kill(0);
        cluster.Start(0);
        await asker.UntilPlacesAsync(
            "all that n4 had is elsewhere",
            cluster.Addresses[1],
            static places => places.All(static s => s.SetEquals(["n1", "n2", "n3"])));

        // It is welcome when it comes back after all, and takes its share again.
        cluster.Start(3);
        await asker.UntilPlacesAsync(
            "n4 has its share again",
            cluster.Addresses[1],
            static places => places.All(static s => s.Count == 3) && places.Count(static s => s.Contains("n4")) == 3);
        await cluster.WaitReadyAsync(cluster.All);
        await asker.MoreAsync(recorder, 100);
        await done.CancelAsync();
        await load;
        await CheckAsync(cluster, recorder, limit.Token);
    }

    private static async Task CheckAsync(ClusterProcesses cluster, Recorder recorder, CancellationToken cancel)
    {
        Assert.Empty(recorder.Failures);
        recorder.CheckLinearizable();
        using HengeClient client = cluster.Client();
        await recorder.CheckNothingLostAsync(client, cancel);
        TestContext.Current.TestOutputHelper!.WriteLine($"{recorder.Acknowledged} acknowledged writes");
    }
}
