using System.Diagnostics;
using Henge.Client;
using Henge.Core;
using Henge.EndToEnd.Tests.Harness;

namespace Henge.EndToEnd.Tests;

/// <summary>Three processes, of which too many or just few enough are gone.</summary>
public sealed class MajorityTests
{
    [Fact]
    public async Task Without_a_majority_writes_fail_in_time_and_with_it_again_everything_is_there()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(3, limit.Token);
        await cluster.StartAllAsync();
        using HengeClient client = cluster.Client();
        PutResult first = await client.PutAsync("kept", "before", cancellationToken: limit.Token);

        // A stale read is of what a node has applied, and that a write is committed reaches followers after its answer.
        using (HengeClient left = cluster.Client(null, 0))
        {
            await cluster.UntilAsync(
                "the one that will be left has applied the write",
                async () =>
                    (await left.GetAsync("kept", new GetOptions { Consistency = ReadConsistency.Stale }, limit.Token)).Version
                    == first.Version);
        }

        cluster.Kill(1, 2);
        await cluster.UntilAsync("the one that is left knows that it cannot serve", async () => !await cluster.IsReadyAsync(0));
        string key = "refused";
        using (HengeClient left = cluster.Client(null, 0))
        {
            TimeSpan patience = TimeSpan.FromSeconds(2);
            await cluster.UntilAsync("a write is refused as unavailable", async () =>
            {
                Stopwatch watch = Stopwatch.StartNew();
                HengeException error = await Assert.ThrowsAnyAsync<HengeException>(
                    async () => await left.PutAsync(key, "never", new PutOptions { Deadline = patience }, limit.Token));
                Assert.InRange(watch.Elapsed, TimeSpan.Zero, patience + TimeSpan.FromSeconds(3));

                // Where the machine is so slow that the node's answer comes later than it said, the client must be in doubt. Its next write
                // to that key has to wait until the doubt is over, so another key is tried.
                Assert.True(error is UnavailableException or UnknownOutcomeException, error.ToString());
                key += error is UnknownOutcomeException ? "-again" : "";
                return error is UnavailableException;
            });
            Assert.IsType<UnavailableException>(await Record.ExceptionAsync(
                async () => await left.GetAsync("kept", new GetOptions { Deadline = patience }, limit.Token)));

            GetResult stale = await left.GetAsync("kept", new GetOptions { Consistency = ReadConsistency.Stale }, limit.Token);
            Assert.Equal(("before", first.Version), (stale.Text, stale.Version));
        }

        cluster.Start(1, 2);
        await cluster.WaitReadyAsync(cluster.All);
        PutResult second = await client.PutAsync("also kept", "after", cancellationToken: limit.Token);
        Assert.True(second.Succeeded);

        cluster.Kill(cluster.All);
        await cluster.StartAllAsync();
        GetResult one = await client.GetAsync("kept", cancellationToken: limit.Token);
        GetResult two = await client.GetAsync("also kept", cancellationToken: limit.Token);
        Assert.Equal(("before", first.Version), (one.Text, one.Version));
        Assert.Equal(("after", second.Version), (two.Text, two.Version));
        Assert.False((await client.GetAsync(key, cancellationToken: limit.Token)).Found);
    }

    [Fact]
    public async Task A_follower_that_was_away_catches_up()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(3, limit.Token);
        await cluster.StartAllAsync();
        int leader = await cluster.LeaderAsync("{away}");
        int follower = cluster.All.First(n => n != leader);
        using HengeClient client = cluster.Client();
        cluster.Kill(follower);
        for (int i = 0; i < 100; i++)
        {
            await client.PutAsync($"{{away}}:{i}", $"value {i}", cancellationToken: limit.Token);
        }

        cluster.Start(follower);
        await cluster.WaitReadyAsync(follower);
        await cluster.WaitEqualAsync();
        using HengeClient own = cluster.Client(
            new HengeClientOptions { RouteToLeaders = false, Consistency = ReadConsistency.Stale },
            follower);
        for (int i = 0; i < 100; i++)
        {
            Assert.Equal($"value {i}", (await own.GetAsync($"{{away}}:{i}", cancellationToken: limit.Token)).Text);
        }
    }
}
