using Henge.Client;
using Henge.EndToEnd.Tests.Harness;

namespace Henge.EndToEnd.Tests;

/// <summary>A cluster that grows and shrinks under load, while its nodes are killed: from three nodes to five, and back.</summary>
public sealed class ElasticTests
{
    private const int Clients = 4;

    [Fact]
    public async Task From_three_nodes_to_five_and_back_under_load_with_a_kill_in_each_step_nothing_is_lost()
    {
        using CancellationTokenSource limit = Rounds.Limit(times: 3);
        await using ClusterProcesses cluster = new(3, limit.Token);
        await cluster.StartAllAsync();
        Recorder recorder = new();
        using CancellationTokenSource done = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
        using Operator asker = new(cluster, limit.Token);
        Task load = Load.SpreadAsync(cluster, recorder, Clients, TimeSpan.FromSeconds(60), done.Token);
        await asker.MoreAsync(recorder, 200);

        // Two at once. The fourth is killed when replicas have begun to move to it, and one that was there before as well.
        string[] addresses = [ClusterProcesses.FreeAddress(), ClusterProcesses.FreeAddress()];
        string[] join = ["--join", string.Join(',', cluster.Addresses)];
        using HengeProcess killed = HengeProcess.Start(cluster.Joining("n4", addresses[0], join));
        using HengeProcess fifth = HengeProcess.Start(cluster.Joining("n5", addresses[1], join));
        await asker.UntilPlacesAsync(
            "a shard has come to n4",
            addresses[0],
            static places => places.Any(static s => s.Contains("n4")));
        killed.Kill();
        using HengeProcess fourth = HengeProcess.Start(cluster.Joining("n4", addresses[0]));
        cluster.Kill(1);
        cluster.Start(1);
        await asker.UntilPlacesAsync(
            "every shard has three replicas, and each node its share",
            cluster.Addresses[0],
            static places => places.All(static s => s.Count == 3)
                && new[] { "n1", "n2", "n3", "n4", "n5" }.All(n => places.Count(s => s.Contains(n)) is 2 or 3));
        await asker.MoreAsync(recorder, 200);

        // Back: while the fifth leaves, the first is killed.
        Task leaving = asker.DoAsync("cluster", "remove", "n5", "--wait");
        cluster.Kill(0);
        cluster.Start(0);
        await leaving;
        await asker.DoAsync("cluster", "remove", "n4", "--wait");
        Assert.Equal((0, 0), (await fifth.WaitForExitAsync(limit.Token), await fourth.WaitForExitAsync(limit.Token)));
        await asker.UntilPlacesAsync(
            "all is where it was",
            cluster.Addresses[0],
            static places => places.All(static s => s.SetEquals(["n1", "n2", "n3"])));
        await asker.MoreAsync(recorder, 200);
        await done.CancelAsync();
        await load;

        using HengeClient client = cluster.Client();
        Assert.Empty(recorder.Failures);
        recorder.CheckLinearizable();
        await recorder.CheckNothingLostAsync(client, limit.Token);
        TestContext.Current.TestOutputHelper!.WriteLine($"{recorder.Acknowledged} acknowledged writes");
    }
}
