using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Replication;

namespace Henge.Node.Tests.Clusters;

/// <summary>A bit of a table flips on one node's disk.</summary>
public sealed class DamagedTableTests
{
    private static readonly Henge.Cluster.ShardMap Map = new(4);

    [Fact]
    public void A_leader_that_meets_damage_says_so_and_hands_over_to_one_that_can_serve()
    {
        var cluster = new ClusterHarness(3);
        (string key, uint shard) = Fill(cluster);
        HarnessNode damaged = cluster.LeaderOf(shard)!;
        FlipBits(damaged);

        Assert.Equal(ErrorCode.Corruption, Assert.Throws<HengeException>(() => cluster.Get(damaged, key)).Code);
        cluster.RunUntil(() => cluster.LeaderOf(shard) is { } leader && leader != damaged);
        cluster.RunUntil(() => StatusOf(damaged, shard).Error is not null);
        Assert.Contains(".sst", StatusOf(damaged, shard).Error, StringComparison.Ordinal);
        Assert.True(damaged.Running.GetStatus().Activity.DamagedReads > 0);
        Assert.Contains(damaged.Notes, static note => note.Contains(".sst", StringComparison.Ordinal));
        Assert.Null(damaged.FatalMessage);

        // The others serve it, and it goes on taking part.
        HarnessNode leader = cluster.LeaderOf(shard)!;
        Assert.Equal("value", cluster.Get(leader, key));
        cluster.Put(damaged, key, "later");
        Assert.Equal("later", cluster.Get(damaged, key));
        Assert.Null(StatusOf(leader, shard).Error);
    }

    [Fact]
    public void A_single_node_refuses_what_is_damaged_with_file_and_offset_and_deletes_nothing()
    {
        var cluster = new ClusterHarness(1);
        (string key, uint shard) = Fill(cluster);
        HarnessNode node = cluster.Nodes[0];
        string[] before = Tables(node);
        FlipBits(node);
        HengeException error = Assert.Throws<HengeException>(() => cluster.Get(node, key));
        Assert.Equal(ErrorCode.Corruption, error.Code);
        Assert.Contains("offset", error.Message, StringComparison.Ordinal);
        cluster.RunUntil(() => StatusOf(node, shard).Error is not null);
        Assert.Equal(before, Tables(node));
        Assert.Null(node.FatalMessage);
        cluster.Put(node, "another", "1");
        Assert.Equal("1", cluster.Get(node, "another"));
    }

    [Fact]
    public void A_scan_names_the_shard_whose_table_is_damaged()
    {
        var cluster = new ClusterHarness(1);
        Fill(cluster);
        HarnessNode node = cluster.Nodes[0];
        FlipBits(node);
        var query = new ScanQuery { Version = Core.Version.Max, LimitItems = 1000, LimitBytes = 1 << 20 };
        Assert.Equal(ErrorCode.Corruption, Assert.Throws<HengeException>(() => node.Running.Scan(query, new Ignore())).Code);
        Assert.Equal(1, Enumerable.Range(0, 4).Count(shard => node.Replica((uint)shard).Machine.Damage is not null));
    }

    // Puts a key on each shard into a table of each node, and nothing of it into a cache.
    private static (string Key, uint Shard) Fill(ClusterHarness cluster)
    {
        cluster.RunUntilLed();
        for (int i = 0; i < 40; i++)
        {
            cluster.Put(cluster.Nodes[0], $"key{i}", "value");
        }

        cluster.Run(500);
        foreach (HarnessNode node in cluster.Running)
        {
            node.Running.Parts.Context.Engine.Flush();
        }

        return ("key7", Map.ShardOf("key7"u8).Value);
    }

    private static string[] Tables(HarnessNode node) =>
        [.. node.Files.List("/data/engine").Where(static name => name.EndsWith(".sst", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    private static void FlipBits(HarnessNode node)
    {
        foreach (string name in Tables(node))
        {
            node.Files.FlipBit("/data/engine/" + name, 50, 3);
        }
    }

    private static ShardStatus StatusOf(HarnessNode node, uint shard) => node.Running.GetStatus().Shards.Single(s => s.Shard.Value == shard);

    private sealed class Ignore : IScanReceiver
    {
        public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, Henge.Storage.EntryKind kind, long expiresAtMs)
        {
        }
    }
}
