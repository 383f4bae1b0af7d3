using System.Diagnostics;
using System.Globalization;
using Henge.EndToEnd.Tests.Harness;
using Wire = Henge.Protocol.V1;

namespace Henge.EndToEnd.Tests;

/// <summary>How leaders come to be.</summary>
public sealed class ElectionTests
{
    [Fact]
    public async Task Three_nodes_agree_on_exactly_one_leader_for_each_shard()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(3, limit.Token);
        cluster.Start(cluster.All);
        foreach (int node in cluster.All)
        {
            await cluster.UntilAsync($"{ClusterProcesses.NameOf(node)} listens", () => cluster.IsAliveAsync(node));
        }

        long listening = Stopwatch.GetTimestamp();
        await cluster.UntilAsync("each shard has exactly one leader, and all nodes know it", async () =>
        {
            Wire.StatusResponse[] states = await Task.WhenAll(cluster.All.Select(cluster.StatusAsync));
            Assert.All(states, static s => Assert.True(s.Shards.Count <= ClusterProcesses.Shards));

            // Two leaders of one term would be a broken promise, at whatever moment.
            foreach (IGrouping<(uint, ulong), (Wire.ShardStatus Shard, string Node)> term in states
                .SelectMany(static s => s.Shards.Where(static r => r.Role == "leader").Select(r => (r, s.NodeId))).GroupBy(static l =>
                    (l.r.Shard, l.r.Term)))
            {
                Assert.True(term.Count() == 1, $"Shard {term.Key.Item1} has {term.Count()} leaders in term {term.Key.Item2}.");
            }

            return Enumerable.Range(0, ClusterProcesses.Shards).All(shard =>
            {
                Wire.ShardStatus[] replicas = [.. states.SelectMany(static s => s.Shards).Where(r => r.Shard == shard)];
                return replicas.Length == 3 && replicas.Count(static r => r.Role == "leader") == 1 && replicas.All(r =>
                    r.LeaderId.Length > 0 && r.LeaderId == replicas[0].LeaderId);
            });
        });
        TestContext.Current.TestOutputHelper!.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"one leader for each of {ClusterProcesses.Shards} shards "
                + $"{Stopwatch.GetElapsedTime(listening).TotalMilliseconds:F0} ms after the last node listened"));
    }
}
