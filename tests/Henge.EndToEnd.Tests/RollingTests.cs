using Henge.Client;
using Henge.EndToEnd.Tests.Harness;

namespace Henge.EndToEnd.Tests;

/// <summary>Every node is stopped and started again in turn, as for an upgrade.</summary>
public sealed class RollingTests
{
    [Fact]
    public async Task Nodes_restart_one_by_one_under_load_and_no_caller_sees_an_error()
    {
        using CancellationTokenSource limit = Rounds.Limit(times: 2);
        await using ClusterProcesses cluster = new(3, limit.Token);
        await cluster.StartAllAsync();
        Recorder recorder = new();
        using Operator asker = new(cluster, limit.Token);
        using CancellationTokenSource done = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
        Task load = Load.SpreadAsync(cluster, recorder, 4, TimeSpan.FromSeconds(60), done.Token);
        await asker.MoreAsync(recorder, 100);
        foreach (int node in cluster.All)
        {
            cluster[node].Terminate();
            Assert.Equal(0, await cluster[node].WaitForExitAsync(limit.Token));
            await asker.MoreAsync(recorder, 50);
            cluster.Start(node);
            await cluster.WaitReadyAsync(node);

            // It has caught up: else the next one would be one too many.
            await asker.DoAsync("status");
            await asker.MoreAsync(recorder, 50);
        }

        await done.CancelAsync();
        await load;
        Assert.Empty(recorder.Failures);
        recorder.CheckLinearizable();
        using HengeClient client = cluster.Client();
        await recorder.CheckNothingLostAsync(client, limit.Token);
        await cluster.WaitEqualAsync();
    }
}
