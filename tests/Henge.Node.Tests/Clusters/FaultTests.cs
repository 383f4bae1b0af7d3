using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Raft;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Settings;
using Henge.Testing.Files;

namespace Henge.Node.Tests.Clusters;

public sealed class FaultTests
{
    private static readonly ShardMap Map = new(4);

    [Fact]
    public void A_failed_sync_of_the_log_ends_the_node_and_nothing_is_acknowledged()
    {
        var cluster = new ClusterHarness(1);
        HarnessNode node = cluster.Nodes[0];
        cluster.Put(node, "a", "1");
        node.Files.Faults = static o =>
            o.Kind == FileOperationKind.Sync && o.Path.Contains("/log/", StringComparison.Ordinal)
                ? FaultDecision.Fail
                : FaultDecision.None;
        HarnessOperation put = HarnessOperation.Put("a", "2");
        node.Running.Submit(put);
        cluster.Run(100);
        Assert.IsAssignableFrom<IOException>(node.FatalCause);
        Assert.False(put.IsDone && put.Error == ErrorCode.None);
        node.Files.Faults = null;
        node.Crash(CrashMode.LoseAllUnsynced);
        node.Start();
        Assert.Contains(cluster.Get(node, "a"), new[] { "1", "2" });
    }

    [Fact]
    public void Writes_are_refused_on_a_full_disk_and_reads_and_deletes_go_on_until_there_is_room()
    {
        var cluster = new ClusterHarness(1, configure: static o => o with { DiskReserveBytes = 1 << 20 });
        HarnessNode node = cluster.Nodes[0];
        cluster.Put(node, "a", "1");
        node.Files.CapacityBytes = node.Files.UsedBytes + (512 << 10);
        cluster.Run(500);
        HarnessOperation refused = cluster.Complete(node, HarnessOperation.Put("a", "2"));
        Assert.Equal(ErrorCode.DiskFull, refused.Error);
        Assert.Equal("1", cluster.Get(node, "a"));
        Assert.Equal(ErrorCode.None, cluster.Complete(node, HarnessOperation.Delete("a")).Error);
        Assert.Null(cluster.Get(node, "a"));
        node.Files.CapacityBytes = long.MaxValue;
        cluster.Run(500);
        cluster.Put(node, "a", "3");
        Assert.Null(node.FatalMessage);
    }

    [Fact]
    public void A_log_without_room_for_a_segment_waits_and_acknowledges_nothing_until_there_is()
    {
        var cluster = new ClusterHarness(1, configure: static o => o with { DiskReserveBytes = 0 });
        HarnessNode node = cluster.Nodes[0];
        cluster.Put(node, "a", "1");
        node.Files.CapacityBytes = node.Files.UsedBytes + (16 << 10);
        var puts = new List<HarnessOperation>();
        for (int i = 0; i < 200; i++)
        {
            HarnessOperation put = HarnessOperation.Put($"k{i % 10}", new string('x', 8_000));
            put.DeadlineMs = node.Running.MonotonicMs + 60_000;
            node.Running.Submit(put);
            puts.Add(put);
            cluster.Run(1);
        }

        cluster.Run(2_000);
        Assert.Null(node.FatalMessage);
        Assert.Contains(puts, static p => !p.IsDone || p.Error == ErrorCode.DiskFull);
        node.Files.CapacityBytes = long.MaxValue;
        cluster.RunUntil(() => puts.All(static p => p.IsDone));
        Assert.All(puts, static p => Assert.True(p.Error is ErrorCode.None or ErrorCode.DiskFull, p.ToString()));
        cluster.Put(node, "a", "2");
    }

    [Fact]
    public void A_rotten_log_is_refused_with_file_and_offset()
    {
        var cluster = new ClusterHarness(1);
        HarnessNode node = cluster.Nodes[0];
        for (int i = 0; i < 50; i++)
        {
            cluster.Put(node, $"k{i}", "value");
        }

        node.Stop();
        node.Files.FlipBit("/data/log/0000000001.log", 4096 + 100, 3);
        HengeException e = Assert.Throws<HengeException>(node.Start);
        Assert.Equal(ErrorCode.Corruption, e.Code);
        Assert.Contains("0000000001.log", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_lost_log_under_a_full_engine_is_refused()
    {
        var cluster = new ClusterHarness(1);
        HarnessNode node = cluster.Nodes[0];
        for (int i = 0; i < 50; i++)
        {
            cluster.Put(node, $"k{i}", new string('v', 3_000));
        }

        node.Running.Parts.Context.Engine.Flush();
        node.Stop();
        foreach (string name in node.Files.List("/data/log"))
        {
            node.Files.Delete("/data/log/" + name);
        }

        HengeException e = Assert.Throws<HengeException>(node.Start);
        Assert.Equal(ErrorCode.Corruption, e.Code);
    }

    [Fact]
    public void A_directory_is_refused_to_another_name_and_to_a_second_process()
    {
        var cluster = new ClusterHarness(1);
        HarnessNode node = cluster.Nodes[0];
        cluster.Put(node, "a", "1");
        var second = new HarnessNode(cluster, "node1", node.Id);
        second.Share(node);
        Assert.Equal(ErrorCode.Locked, Assert.Throws<HengeException>(second.Start).Code);
        node.Stop();
        cluster.Members = [new ClusterMember("other", "10.0.0.1:7000")];
        var stranger = new HarnessNode(cluster, "other", node.Id);
        stranger.Share(node);
        HengeException e = Assert.Throws<HengeException>(stranger.Start);
        Assert.Equal(ErrorCode.Misconfigured, e.Code);
        Assert.Contains("node1", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_follower_that_was_away_too_long_catches_up_by_a_snapshot_while_serving_goes_on()
    {
        (ClusterHarness cluster, HarnessNode away) = WithoutOneForTooLong();
        cluster.Run(1_000);
        Assert.True(cluster.Nodes[0].Replica(0).Group.CompactedIndex > LogIndex.Zero, cluster.Describe());
        Assert.InRange(cluster.Nodes[0].Running.GetStatus().LogBytes, 1, 400 * 1024);
        away.Start();
        for (int i = 0; i < 40; i++)
        {
            cluster.Put(cluster.Nodes[i % 2], $"k{i % 40}", $"{i} new");
        }

        RunUntilCaughtUp(cluster, away);
        Assert.True(away.HasTold(nameof(INodeEvents.SnapshotInstalled)));
        Assert.Equal("39 new", cluster.Get(away, "k39"));
    }

    [Theory]
    [InlineData("/snapshots/")]
    [InlineData("/engine/")]
    public void A_disk_that_is_full_while_a_snapshot_comes_is_waited_for(string where)
    {
        (ClusterHarness cluster, HarnessNode away) = WithoutOneForTooLong();
        cluster.Run(1_000);
        away.Start();
        away.Files.Faults = o =>
            o.Kind == FileOperationKind.Write && o.Path.Contains(where, StringComparison.Ordinal)
                ? FaultDecision.DiskFull
                : FaultDecision.None;
        cluster.Run(4_000);
        Assert.Null(away.FatalMessage);
        Assert.False(away.HasTold(nameof(INodeEvents.SnapshotInstalled)));
        Assert.True(
            away.HasTold(where == "/engine/" ? nameof(INodeEvents.SnapshotInstallDelayed) : nameof(INodeEvents.SnapshotRefused)),
            cluster.Describe());
        if (where == "/engine/")
        {
            Assert.Contains(away.Running.GetStatus().Shards, static s => s.Error is not null);
        }

        // Serving goes on meanwhile, and a crash changes nothing.
        cluster.Put(cluster.Nodes[0], "k0", "new");
        away.Files.Faults = null;
        if (where == "/engine/")
        {
            away.Crash();
            away.Start();
        }

        RunUntilCaughtUp(cluster, away);
        Assert.Equal("new", cluster.Get(away, "k0"));
        Assert.Null(away.FatalMessage);
        Assert.All(away.Running.GetStatus().Shards, static s => Assert.Null(s.Error));
    }

    /// <summary>
    /// A frame may be doubled, and its copy may come when the leader that did what is in it has been started anew, and leads again.
    /// </summary>
    [Fact]
    public void A_forwarded_write_is_not_done_again_by_a_leader_that_was_restarted()
    {
        var cluster = new ClusterHarness(3, configure: static o => o with { BalanceIntervalMs = 0 });
        cluster.RunUntilLed();
        uint shard = Map.ShardOf("a"u8).Value;
        HarnessNode leader = cluster.LeaderOf(shard)!;
        HarnessNode other = cluster.Nodes.First(n => n != leader);
        var copies = new List<byte[]>();
        cluster.Network.Lose = (from, to, frame) =>
        {
            if (from == other.Id && to == leader.Id)
            {
                copies.Add(frame);
            }

            return false;
        };
        cluster.Put(other, "a", "1");
        cluster.Network.Lose = null;
        leader.Crash();
        leader.Start();
        cluster.RunUntilLed();
        for (int i = 0; i < 20 && cluster.LeaderOf(shard) != leader; i++)
        {
            cluster.LeaderOf(shard)!.Running.TransferLeader(new ShardId(shard), leader.Id);
            cluster.Run(300);
        }

        Assert.Same(leader, cluster.LeaderOf(shard));
        cluster.Put(leader, "a", "2");
        copies.ForEach(c => ((IPeerReceiver)leader.Running).OnFrame(c));
        cluster.Run(500);
        Assert.Equal("2", cluster.Get(other, "a"));
    }

    [Fact]
    public void Leases_serve_without_a_message_and_end_in_time()
    {
        var cluster = new ClusterHarness(3, configure: static o => o with { Reads = ReadConsistency.Lease, BalanceIntervalMs = 0 });
        cluster.Put(cluster.Nodes[0], "a", "old");
        uint shard = Map.ShardOf("a"u8).Value;
        HarnessNode leader = cluster.LeaderOf(shard)!;
        cluster.Run(500);
        HarnessOperation get = HarnessOperation.Get("a");
        leader.Running.Submit(get);
        while (leader.RunOne())
        {
        }

        Assert.True(get is { IsDone: true, Error: ErrorCode.None }, "a lease read needs no message");
        leader.IsPaused = true;
        HarnessNode other = cluster.Nodes.First(n => n != leader);
        cluster.RunUntil(() => cluster.LeaderOf(shard) is { } next && next != leader && other.Replica(shard).Group.Leader == next.Id);
        cluster.Put(other, "a", "new");
        leader.IsPaused = false;
        Assert.Equal("new", cluster.Get(leader, "a"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_is_read_behind_a_barrier_never_goes_by_a_lease(bool allShards)
    {
        var cluster = new ClusterHarness(
            3,
            configure: static o => o with { Reads = ReadConsistency.Lease, BalanceIntervalMs = 0, Shards = 1 });
        cluster.Put(cluster.Nodes[0], "a", "1");
        HarnessNode leader = cluster.LeaderOf(0)!;
        cluster.Run(500);
        cluster.Put(leader, "a", "2");
        cluster.Run(20);

        // Its clock goes back, so that what is applied is ahead of it: nothing has to be closed first.
        leader.Time.SkewMs = -300;
        cluster.Network.Isolate(leader.Id, cluster.Nodes.Select(static n => n.Id));
        HarnessOperation get = HarnessOperation.Get("a"), barrier = HarnessOperation.Barrier();
        (barrier.AllShards, barrier.Key) = (allShards, get.Key);
        leader.Running.Submit(get);
        leader.Running.Submit(barrier);
        while (leader.RunOne())
        {
        }

        Assert.True(get is { IsDone: true, Error: ErrorCode.None }, "the lease is not over");
        Assert.False(barrier.IsDone, "a barrier was passed without a word from the others");
        cluster.Network.Heal();
        cluster.RunUntil(() => barrier.IsDone);
        Assert.Equal(ErrorCode.None, barrier.Error);
    }

    [Fact]
    public void An_answer_that_comes_after_the_lease_has_ended_is_refused()
    {
        var cluster = new ClusterHarness(
            3,
            configure: static o => o with { Reads = ReadConsistency.Lease, BalanceIntervalMs = 0, Shards = 1 });
        cluster.Put(cluster.Nodes[0], "a", "1");
        HarnessNode leader = cluster.LeaderOf(0)!;
        cluster.Run(500);
        HarnessOperation get = HarnessOperation.Get("a");
        leader.Running.Submit(get);
        while (leader.RunOne())
        {
        }

        Assert.True(get is { IsDone: true, Error: ErrorCode.None });
        Assert.Equal("1", leader.Read(get));

        // The clock of a machine that stood still catches up only now.
        leader.Time.Advance(200);
        Assert.Equal(ErrorCode.Unavailable, Assert.Throws<HengeException>(() => leader.Read(get)).Code);
    }

    [Fact]
    public void The_past_is_read_by_version_until_it_is_gone()
    {
        var cluster = new ClusterHarness(3, configure: static o => o with { HistoryMs = 3_000 });
        HarnessOperation first = cluster.Complete(cluster.Nodes[0], HarnessOperation.Put("a", "1"));
        cluster.Run(100);
        cluster.Put(cluster.Nodes[1], "a", "2");
        HarnessOperation past = HarnessOperation.Get("a");
        past.ReadVersion = first.Version;
        Assert.Equal(ErrorCode.None, cluster.Complete(cluster.Nodes[2], past).Error);
        Assert.Equal("1", cluster.Nodes[2].Read(past));
        for (int i = 0; i < 60; i++)
        {
            for (int k = 0; k < 16; k++)
            {
                cluster.Put(cluster.Nodes[0], $"k{k}", "x");
            }

            // Beyond the seconds that are kept in any case, too (docs/decisions/0185).
            cluster.Run(250);
        }

        HarnessOperation gone = HarnessOperation.Get("a");
        gone.ReadVersion = first.Version;
        Assert.Equal(ErrorCode.HistoryGone, cluster.Complete(cluster.Nodes[2], gone).Error);
        Assert.Contains("begins at", gone.ErrorMessage, StringComparison.Ordinal);
        HarnessOperation future = HarnessOperation.Get("a");
        future.ReadVersion = Core.Version.FromMilliseconds(cluster.Nodes[2].Running.Now.Milliseconds + 60_000);
        Assert.Equal(ErrorCode.InvalidArgument, cluster.Complete(cluster.Nodes[2], future).Error);
    }

    [Fact]
    public void An_expired_key_is_there_until_its_moment_and_gone_for_all_within_some_ticks()
    {
        var cluster = new ClusterHarness(3);
        HarnessOperation put = HarnessOperation.PutFor("a", "1", 1_000);
        Assert.Equal(ErrorCode.None, cluster.Complete(cluster.Nodes[0], put).Error);
        Assert.Equal("1", cluster.Get(cluster.Nodes[1], "a"));
        cluster.Run(980);
        Assert.Equal("1", cluster.Get(cluster.Nodes[2], "a"));
        cluster.Run(80);
        Assert.All(cluster.Nodes, n => Assert.Null(cluster.Get(n, "a")));
        uint shard = Map.ShardOf("a"u8).Value;
        Core.Version before = put.Version;
        cluster.RunUntil(() => cluster.Nodes.All(n => n.Replica(shard).AppliedVersion > before), 2_000, "the deletion");
    }

    [Fact]
    public void The_same_seed_gives_the_same_run()
    {
        static string Trace()
        {
            var cluster = new ClusterHarness(3, seed: 42);
            cluster.Network.LossRate = 0.05;
            cluster.Network.DelayMaxMs = 10;
            for (int i = 0; i < 100; i++)
            {
                HarnessOperation put = HarnessOperation.Put($"k{i}", "v");
                cluster.Nodes[i % 3].Running.Submit(put);
                cluster.Run(7);
            }

            var text = new StringBuilder(cluster.Describe());
            text.Append(cluster.Network.FramesSent);
            foreach (HarnessNode node in cluster.Nodes)
            {
                text.Append(node.Files.OperationCount).Append(' ').Append(node.Replica(0).Machine.StateHash());
            }

            return text.ToString();
        }

        Assert.Equal(Trace(), Trace());
    }

    [Fact]
    public void Operations_that_wait_are_failed_when_the_node_stops()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        HarnessNode node = cluster.Nodes[0];
        cluster.Network.Isolate(node.Id, cluster.Nodes.Select(static n => n.Id));
        HarnessOperation[] open =
        [
            .. Enumerable.Range(0, 20).Select(static i => i % 2 == 0 ? HarnessOperation.Put($"k{i}", "v") : HarnessOperation.Get($"k{i}")),
        ];
        node.Running.Submit(open);
        cluster.Run(20);
        node.Stop();
        Assert.All(
            open,
            static o => Assert.True(o is { Completions: 1, Error: ErrorCode.Stopping or ErrorCode.UnknownOutcome }, o.ToString()));
    }

    [Fact]
    public void Too_many_operations_are_refused_before_they_take_memory()
    {
        var cluster = new ClusterHarness(
            3,
            configure: static o =>
                o with
                {
                    Limits = new NodeLimits { CommandBytes = 64 * 1024, PendingOperations = 10 },
                });
        cluster.RunUntilLed();
        HarnessNode node = cluster.Nodes[0];
        cluster.Network.Isolate(node.Id, cluster.Nodes.Select(static n => n.Id));
        HarnessOperation[] puts = [.. Enumerable.Range(0, 15).Select(static i => HarnessOperation.Put($"k{i}", "v"))];
        foreach (HarnessOperation put in puts)
        {
            node.Running.Submit(put);
        }

        Assert.Equal(5, puts.Count(static p => p.Error == ErrorCode.ResourceExhausted));
        cluster.Run(6_000);
        Assert.All(puts, static p => Assert.Equal(1, p.Completions));
        // The node itself may be trying to write itself, and what the cluster was made with, into the catalog.
        Assert.InRange(node.Running.Parts.Context.PendingOperations, 0, 2);
    }

    /// <summary>Three nodes, the last of which is down and has missed more than the others' logs keep.</summary>
    private static (ClusterHarness Cluster, HarnessNode Away) WithoutOneForTooLong()
    {
        var cluster = new ClusterHarness(
            3,
            configure: static o =>
                o with
                {
                    LogSegmentBytes = 32 * 1024,
                    LogBudgetBytes = 64 * 1024,
                    LogKeepEntries = 10,
                    Limits = new NodeLimits { CommandBytes = 8 * 1024 },
                })
        {
            EngineOptions = new LsmOptions { Directory = "", MemTableBytes = 16 * 1024, MemoryBytes = 1 << 20 },
        };
        cluster.RunUntilLed();
        HarnessNode away = cluster.Nodes[2];
        away.Crash();
        cluster.RunUntilLed();
        for (int i = 0; i < 400; i++)
        {
            cluster.Put(cluster.Nodes[i % 2], $"k{i % 40}", $"{i} {new string('v', 500)}");
        }

        return (cluster, away);
    }

    private static void RunUntilCaughtUp(ClusterHarness cluster, HarnessNode away)
    {
        cluster.RunUntil(
            () =>
                Enumerable
                    .Range(0, 4)
                    .All(s => away.Replica((uint)s).Group.AppliedIndex == cluster.Nodes[0].Replica((uint)s).Group.AppliedIndex),
            20_000);
        for (uint s = 0; s < 4; s++)
        {
            Assert.Equal(cluster.Nodes[0].Replica(s).Machine.StateHash(), away.Replica(s).Machine.StateHash());
        }
    }
}
