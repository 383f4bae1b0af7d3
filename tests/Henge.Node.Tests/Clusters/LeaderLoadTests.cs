using System.Text;
using Henge.Core;

namespace Henge.Node.Tests.Clusters;

/// <summary>Leaders go where the load is least.</summary>
public sealed class LeaderLoadTests
{
    private const int Shards = 8;
    private const uint Hot = 3;

    [Fact]
    public void Who_leads_the_shard_with_most_of_the_load_comes_to_lead_nothing_else_and_it_stays_so()
    {
        var cluster = new ElasticCluster(3, configure: static o => o with { Shards = Shards });
        NodeId busy = cluster.Harness.LeaderOf(Hot)!.Id;
        Assert.InRange(cluster.Led(busy), 2, 4);

        // Of four writes three and more are of one shard.
        long beganMs = cluster.Harness.NowMs;
        RunLoad(cluster, 45_000);
        Assert.Equal(busy, cluster.Harness.LeaderOf(Hot)!.Id);
        Assert.Equal(1, cluster.Led(busy));
        Assert.True(cluster.Harness.NowMs - beganMs < 60_000);
        Term[] terms = Terms(cluster);
        RunLoad(cluster, 30_000);
        Assert.Equal(terms, Terms(cluster));
    }

    [Fact]
    public void Without_load_each_leads_as_many()
    {
        var cluster = new ElasticCluster(3, configure: static o => o with { Shards = Shards });
        cluster.Harness.Run(60_000);
        Assert.All(cluster.Harness.Nodes, n => Assert.InRange(cluster.Led(n.Id), 2, 3));
    }

    private static Term[] Terms(ElasticCluster cluster) =>
        [.. Enumerable.Range(0, Shards).Select(s => cluster.Harness.LeaderOf((uint)s)!.Replica((uint)s).Group.Term)];

    private static void RunLoad(ElasticCluster cluster, long milliseconds)
    {
        string[] keys = [.. Enumerable.Range(0, Shards).Select(s => KeyOf((uint)s))];
        for (long i = 0; i < milliseconds; i += 2)
        {
            string key = keys[i % 8 == 0 ? (i / 8) % Shards : Hot];
            HarnessNode node = cluster.Harness.Nodes[(int)(i / 2 % 3)];
            node.Running.Submit(HarnessOperation.Put(key, "value"));
            cluster.Harness.Run(2);
        }
    }

    private static string KeyOf(uint shard)
    {
        var map = new ShardMap(Shards);
        return Enumerable.Range(0, 100_000)
            .Select(static n => $"key{n}")
            .First(k => map.ShardOf(Encoding.UTF8.GetBytes(k)).Value == shard);
    }
}
