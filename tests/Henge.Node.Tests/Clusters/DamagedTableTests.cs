using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Replication;
using static Henge.Node.Tests.Clusters.TableDamage;

namespace Henge.Node.Tests.Clusters;

/// <summary>A bit of a table flips on one node's disk.</summary>
public sealed class DamagedTableTests
{
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
        Assert.True(damaged.HasTold(nameof(INodeEvents.ShardDamaged), new ShardId(shard)));
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

    [Theory]
    [InlineData(false, 5, 3UL)]
    [InlineData(false, 50, 4UL)]
    [InlineData(false, 95, 5UL)]
    [InlineData(true, 5, 6UL)]
    [InlineData(true, 50, 7UL)]
    public void A_replica_with_damaged_tables_rebuilds_itself_from_its_peers(bool isLeader, int percent, ulong seed)
    {
        var cluster = new ClusterHarness(3, seed);
        FillBlocks(cluster);
        HarnessNode damaged = cluster.Nodes.First(node => isLeader == (cluster.LeaderOf(0) == node));
        foreach (string name in Tables(damaged))
        {
            string path = "/data/engine/" + name;
            using Henge.Storage.Files.IFile file = damaged.Files.Open(path, Henge.Storage.Files.FileOpenMode.Read);
            damaged.Files.FlipBit(path, (int)(file.Length * percent / 100 * 9 / 10), 3);
        }

        // Read again and again, and written to meanwhile, until nothing fails any more.
        bool noticed = false;
        int round = 0;
        cluster.RunUntil(
            () =>
            {
                cluster.Put(cluster.Nodes[0], $"key{round % 40}", $"round {round}");
                round++;
                int failed = Enumerable.Range(0, 40).Count(i => !CanRead(cluster, damaged, $"key{i}")) + (CanScan(damaged) ? 0 : 1);
                noticed |= failed > 0;
                return noticed && failed == 0 && damaged.Running.GetStatus().Shards.All(static shard => shard.Error is null);
            },
            limitMs: 60_000,
            what: "the node is whole again");

        Assert.Null(damaged.FatalMessage);
        Assert.True(damaged.HasTold(nameof(INodeEvents.SnapshotInstalled)));
        AssertSameStates(cluster);

        // No table is left with the damage in it.
        cluster.Run(2_000);
        damaged.Running.Parts.Context.Engine.Flush();
        cluster.Run(2_000);
        ((Henge.Storage.Lsm.LsmEngine)damaged.Running.Parts.Context.Engine).Compact();
        damaged.Stop();
        Assert.Empty(Henge.Storage.Inspection.StorageVerifier.Verify(damaged.Files, "/data").Problems);
        damaged.Start();
        cluster.RunUntilLed();

        // The log stayed, and after a crash everything is there as well.
        damaged.Crash();
        damaged.Start();
        cluster.RunUntilLed();
        Assert.Null(damaged.FatalMessage);
        AssertSameStates(cluster);
    }

    [Fact]
    public void Damage_that_expiry_meets_ends_no_single_node()
    {
        var cluster = new ClusterHarness(1);
        cluster.RunUntilLed();
        HarnessNode node = cluster.Nodes[0];
        cluster.Complete(node, HarnessOperation.PutFor("key7", "value", 3_000));
        (string _, uint shard) = Fill(cluster, except: "key7");
        FlipBits(node);
        cluster.RunUntil(() => node.FatalMessage is not null || node.Replica(shard).Machine.DamagedReads > 0, limitMs: 20_000);
        cluster.Run(1_000);
        Assert.Null(node.FatalMessage);
        Assert.NotNull(StatusOf(node, shard).Error);
    }

    [Fact]
    public void Leadership_stays_away_from_damaged_replicas_until_one_that_is_whole_is_back()
    {
        var cluster = new ClusterHarness(3);
        (string key, uint shard) = Fill(cluster);
        HarnessNode leader = cluster.LeaderOf(shard)!;
        HarnessNode other = cluster.Nodes.First(node => node != leader);
        HarnessNode whole = cluster.Nodes.First(node => node != leader && node != other);
        whole.Stop();

        // Not long ago enough for the others to have noticed: leadership may move before they do.
        var damage = new HengeException(ErrorCode.Corruption, "a block");
        other.Replica(shard).Machine.ReportDamage(damage);
        cluster.Run(1_500);
        leader = cluster.LeaderOf(shard)!;
        leader.Replica(shard).Machine.ReportDamage(damage);
        other = cluster.Running.Single(node => node != leader);
        other.Replica(shard).Machine.ReportDamage(damage);
        cluster.Run(1_500);
        Term term = cluster.LeaderOf(shard)!.Replica(shard).Group.Term;
        cluster.Run(5_000);
        Assert.Equal(term, cluster.LeaderOf(shard)!.Replica(shard).Group.Term);
        Assert.NotNull(StatusOf(leader, shard).Error);
        Assert.NotNull(StatusOf(other, shard).Error);

        // Nobody else could serve what is not damaged.
        Assert.Equal("value", cluster.Get(leader, key));
        cluster.Put(leader, key, "later");

        whole.Start();
        cluster.RunUntil(() => cluster.Nodes.All(node => StatusOf(node, shard).Error is null), limitMs: 20_000);
        Assert.Equal("later", cluster.Get(leader, key));
        AssertSameStates(cluster);
    }

    private static bool CanRead(ClusterHarness cluster, HarnessNode node, string key)
    {
        try
        {
            Assert.NotNull(cluster.Get(node, key, ReadConsistency.Stale));
            return true;
        }
        catch (HengeException e) when (e.Code is ErrorCode.Corruption or ErrorCode.Unavailable)
        {
            return false;
        }
    }

    private static bool CanScan(HarnessNode node)
    {
        try
        {
            node.Running.Scan(new ScanQuery { Version = Core.Version.Max, LimitItems = 1000, LimitBytes = 1 << 20 }, new Ignore());
            return true;
        }
        catch (HengeException e) when (e.Code is ErrorCode.Corruption or ErrorCode.Unavailable)
        {
            return false;
        }
    }

    private sealed class Ignore : IScanReceiver
    {
        public void OnItem(
            ReadOnlySpan<byte> key,
            ReadOnlySpan<byte> value,
            Core.Version version,
            Henge.Storage.EntryKind kind,
            long expiresAtMs)
        { }
    }
}
