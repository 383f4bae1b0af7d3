using Henge.Core;
using Henge.Node.Context;
using static Henge.Node.Tests.Clusters.TableDamage;

namespace Henge.Node.Tests.Clusters;

/// <summary>No member of a shard is whole (docs/decisions/0165).</summary>
public sealed class DamagedEverywhereTests
{
    [Fact]
    public void The_leader_says_that_no_member_can_be_rebuilt_until_one_file_is_put_back()
    {
        var cluster = new ClusterHarness(3, 8);
        (string key, uint shard) = Fill(cluster);
        foreach (HarnessNode node in cluster.Nodes)
        {
            FlipBits(node);
            Assert.Throws<HengeException>(() => cluster.Get(node, key, Henge.Node.Api.ReadConsistency.Stale));
        }

        cluster.RunUntil(() => cluster.LeaderOf(shard) is { } leader && StatusOf(leader, shard).IsDamagedEverywhere, limitMs: 10_000);
        HarnessNode leads = cluster.LeaderOf(shard)!;
        Assert.Contains(".sst", StatusOf(leads, shard).Error, StringComparison.Ordinal);
        Assert.True(leads.HasTold(nameof(INodeEvents.ShardDamagedEverywhere), new ShardId(shard)));
        Assert.All(cluster.Nodes, static node => Assert.Null(node.FatalMessage));

        // What the message says works.
        HarnessNode mended = cluster.Nodes.First(node => node != leads);
        mended.Stop();
        FlipBits(mended);
        mended.Start();
        cluster.RunUntil(() => cluster.Nodes.All(IsWhole), limitMs: 60_000);
        Assert.Equal("value", cluster.Get(leads, key));
        AssertSameStates(cluster);
    }
}
