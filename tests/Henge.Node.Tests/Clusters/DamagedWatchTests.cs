using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Tests.Watch;
using Henge.Testing.Files;
using static Henge.Node.Tests.Clusters.TableDamage;

namespace Henge.Node.Tests.Clusters;

/// <summary>Watches that meet a damaged block, and disks that cannot read one.</summary>
public sealed class DamagedWatchTests
{
    [Fact]
    public void A_watch_that_meets_damage_in_history_says_so_and_goes_on_elsewhere_without_a_gap()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        RunUntilJoined(cluster);
        Core.Version start = cluster.Nodes[0].Running.Now;
        (_, uint shard) = Fill(cluster);
        HarnessNode damaged = cluster.Nodes.First(node => node != cluster.LeaderOf(shard));
        HarnessNode whole = cluster.Nodes.First(node => node != damaged);
        FlipBits(damaged);

        var seen = new WatchRecorder();
        byte[] token;
        using (IWatch watch = damaged.Running.OpenWatch(new WatchQuery { Start = start }, static () => { }))
        {
            HengeException error = Assert.Throws<HengeException>(() => ReadAll(cluster, watch, seen, int.MaxValue));
            Assert.Equal(ErrorCode.Corruption, error.Code);
            Assert.Contains(".sst", error.Message, StringComparison.Ordinal);
            token = watch.ResumeToken;
        }

        int before = seen.Events.Count;
        Assert.True(damaged.Running.GetStatus().Activity.DamagedReads > 0);
        using (IWatch resumed = whole.Running.OpenWatch(new WatchQuery { Resume = token }, static () => { }))
        {
            ReadAll(cluster, resumed, seen, 40);
        }

        Assert.Equal(40, seen.Events.Count);
        Assert.Equal(40, seen.Events.Distinct().Count());

        // The node is rebuilt, and the same watch goes on there as well.
        AssertSameStates(cluster);
        var again = new WatchRecorder();
        using IWatch there = damaged.Running.OpenWatch(new WatchQuery { Resume = token }, static () => { });
        ReadAll(cluster, there, again, 40 - before);
        Assert.Equal(seen.Events.Skip(before).Order(), again.Events.Order());
    }

    [Fact]
    public void A_watch_that_meets_damage_in_a_large_value_gives_that_event_elsewhere()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        HarnessNode damaged = cluster.Nodes[1];
        var seen = new WatchRecorder();
        byte[] token;
        RunUntilJoined(cluster);
        using (IWatch watch = damaged.Running.OpenWatch(new WatchQuery { Lower = "large"u8.ToArray() }, static () => { }))
        {
            // Not kept in the ring of recent events: it is read from where it is.
            cluster.Put(cluster.Nodes[0], "large", new string('x', 20_000));
            cluster.RunUntil(() => damaged.Replica(ShardOf("large")).Machine.LastVersion
                == cluster.Nodes[0].Replica(ShardOf("large")).Machine.LastVersion);
            damaged.Running.Parts.Context.Engine.Flush();
            FailReads(damaged);
            Assert.Equal(ErrorCode.Corruption, Assert.Throws<HengeException>(() => ReadAll(cluster, watch, seen, 1)).Code);
            token = watch.ResumeToken;
        }

        Assert.Empty(seen.Events);
        using IWatch resumed = cluster.Nodes[2].Running.OpenWatch(
            new WatchQuery { Lower = "large"u8.ToArray(), Resume = token },
            static () => { });
        ReadAll(cluster, resumed, seen, 1);
        Assert.Single(seen.Events);
        cluster.RunUntil(() => IsWhole(damaged), limitMs: 20_000);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_replica_whose_disk_cannot_read_a_table_is_rebuilt(bool isLeader)
    {
        var cluster = new ClusterHarness(3);
        (string key, uint shard) = Fill(cluster);
        HarnessNode damaged = cluster.Nodes.First(node => isLeader == (cluster.LeaderOf(shard) == node));
        FailReads(damaged);
        HengeException error = Assert.Throws<HengeException>(() => cluster.Get(damaged, key, ReadConsistency.Stale));
        Assert.Equal(ErrorCode.Corruption, error.Code);
        cluster.RunUntil(() => StatusOf(damaged, shard).Error is not null);
        Assert.Contains("cannot be read at offset", StatusOf(damaged, shard).Error, StringComparison.Ordinal);
        Assert.True(damaged.HasTold(nameof(INodeEvents.ShardDamaged), new ShardId(shard)));
        Assert.True(damaged.Running.GetStatus().Activity.DamagedReads > 0);

        cluster.RunUntil(() => Enumerable.Range(0, 40).All(i => IsThere(cluster, damaged, $"key{i}")), limitMs: 20_000);
        Assert.Null(damaged.FatalMessage);
        AssertSameStates(cluster);
    }

    [Fact]
    public void A_single_node_whose_damage_nobody_mends_refuses_writes_when_its_tables_have_grown_as_far_as_they_may()
    {
        var cluster = new ClusterHarness(1, start: false);
        cluster.EngineOptions = cluster.EngineOptions with { L0CompactionTrigger = 2, L0SlowDownTrigger = 2, L0StopTrigger = 3 };
        HarnessNode node = cluster.Nodes[0];
        node.Start();
        (string key, _) = Fill(cluster);
        FlipBits(node);
        int tables = 0;
        HarnessOperation? refused = null;
        cluster.RunUntil(
            () =>
            {
                refused = cluster.Complete(node, HarnessOperation.Put("another", "1"));
                node.Running.Parts.Context.Engine.RequestFlush();
                cluster.Run(20);
                tables = Math.Max(tables, Tables(node).Length);
                return refused.Error != ErrorCode.None;
            },
            limitMs: 60_000);

        Assert.Equal(ErrorCode.Unavailable, refused!.Error);
        Assert.Contains(".sst", refused.ErrorMessage, StringComparison.Ordinal);
        Assert.InRange(tables, 10, 40);
        Assert.Null(node.FatalMessage);
        Assert.Throws<HengeException>(() => cluster.Get(node, key, ReadConsistency.Stale));
        Assert.Equal("1", cluster.Get(node, "another", ReadConsistency.Stale));
    }

    private static void RunUntilJoined(ClusterHarness cluster) =>
        cluster.RunUntil(() => cluster.Nodes.All(static node =>
            node.Running.ClusterId.Length > 0 && Enumerable.Range(0, 4).All(shard => !node.Replica((uint)shard).AppliedVersion.IsZero)));

    private static bool IsThere(ClusterHarness cluster, HarnessNode node, string key)
    {
        try
        {
            return cluster.Get(node, key, ReadConsistency.Stale) == "value";
        }
        catch (HengeException e) when (e.Code is ErrorCode.Corruption or ErrorCode.Unavailable)
        {
            return false;
        }
    }

    // All tables that there are now; those that come later can be read.
    private static void FailReads(HarnessNode node)
    {
        HashSet<string> tables = [.. Tables(node).Select(static name => Engine + name)];
        node.Files.Faults = operation =>
            operation.Kind == FileOperationKind.Read && tables.Contains(operation.Path) ? FaultDecision.Fail : FaultDecision.None;
    }

    private static bool ReadAll(ClusterHarness cluster, IWatch watch, WatchRecorder seen, int events)
    {
        int end = events == int.MaxValue ? events : Math.Max(events, seen.Events.Count);
        for (int i = 0; i < 1_000 && seen.Events.Count < end; i++)
        {
            while (watch.TryRead(seen, 3, 1 << 20))
            {
            }

            cluster.Run(1);
        }

        return seen.Events.Count >= end;
    }
}
