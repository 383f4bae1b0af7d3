using Henge.Client;
using Henge.EndToEnd.Tests.Harness;

namespace Henge.EndToEnd.Tests;

/// <summary>A real node whose clock is wrong.</summary>
public sealed class ClockTests
{
    private const int Keys = 20;

    [Theory]
    [InlineData(2)]
    [InlineData(70 * 365 * 24)]
    public async Task A_clock_that_is_hours_or_decades_ahead_ends_no_key_and_no_node_and_status_names_it(int hours)
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(3, limit.Token);
        cluster.PutClockOff(2, TimeSpan.FromHours(hours));
        await cluster.StartAllAsync();
        using HengeClient right = cluster.Client(null, 0, 1);
        using HengeClient there = cluster.Client(new HengeClientOptions { RouteToLeaders = false }, 2);
        await ScanAsync(there, 0);
        PutOptions anHour = new() { TimeToLive = TimeSpan.FromHours(1) };
        for (int key = 0; key < Keys; key++)
        {
            Assert.True((await (key % 2 == 0 ? right : there).PutAsync($"key{key}", "value", anHour, limit.Token)).Succeeded);
        }

        await ScanAsync(there, Keys);
        await ScanAsync(right, Keys);
        for (int key = 0; key < Keys; key++)
        {
            Assert.Equal("value", (await there.GetAsync($"key{key}", cancellationToken: limit.Token)).Text);
            GetResult here = await right.GetAsync($"key{key}", cancellationToken: limit.Token);
            Assert.Equal("value", here.Text);
            Assert.InRange(here.TimeToLive!.Value, TimeSpan.FromMinutes(50), TimeSpan.FromMinutes(61));
        }

        await cluster.UntilAsync("status names the node whose clock is wrong", async () =>
        {
            using HengeProcess status = HengeProcess.Start("status", "--peers", cluster.Addresses[0]);
            await status.WaitForExitAsync(limit.Token);
            return status.Printed.Contains($"Clock: {ClusterProcesses.NameOf(2)} is ", StringComparison.Ordinal);
        });
        foreach (int node in cluster.All)
        {
            Assert.True(await cluster.IsAliveAsync(node));
        }

        async Task ScanAsync(HengeClient client, int expected)
        {
            int found = 0;
            await foreach (KeyValue _ in client.ScanAsync(cancellationToken: limit.Token))
            {
                found++;
            }

            Assert.Equal(expected, found);
        }
    }
}
