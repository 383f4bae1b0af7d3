using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Raft;
using Henge.Testing.Files;

namespace Henge.Node.Tests.Clusters;

public sealed class ThreeNodeTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Every_shard_has_one_leader_within_500_ms(ulong seed)
    {
        var cluster = new ClusterHarness(3, seed);
        cluster.RunUntilLed(500);
        Assert.Equal(3, Enumerable.Range(0, 4).Select(s => cluster.LeaderOf((uint)s)!.Name).Distinct().Count());
    }

    [Fact]
    public void A_node_tells_how_long_the_elections_took_that_it_won()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        HarnessNode leader = cluster.LeaderOf(0)!;
        NodeActivity before = leader.Running.GetStatus().Activity;
        Assert.True(before.ElectionTimes.Count > 0 && before.ElectionTimes.Count <= before.ElectionsWon);
        Assert.All(before.ElectionTimes, static t => Assert.InRange(t.Round, TimeSpan.Zero, t.WithPreVote));

        leader.Crash();
        cluster.RunUntilLed();
        ElectionTime[] times =
        [
            .. cluster.Nodes.Where(n => n != leader).SelectMany(static n => n.Running.GetStatus().Activity.ElectionTimes),
        ];
        Assert.Contains(times, static t => t.Round > TimeSpan.Zero);
        Assert.All(times, static t => Assert.InRange(t.WithPreVote, t.Round, TimeSpan.FromMilliseconds(500)));
    }

    [Fact]
    public void Any_node_takes_writes_and_serves_linearizable_reads()
    {
        var cluster = new ClusterHarness(3);
        for (int i = 0; i < 60; i++)
        {
            cluster.Put(cluster.Nodes[i % 3], $"key{i % 10}", $"{i}");
            Assert.Equal($"{i}", cluster.Get(cluster.Nodes[(i + 1) % 3], $"key{i % 10}"));
            Assert.Equal($"{i}", cluster.Get(cluster.Nodes[(i + 2) % 3], $"key{i % 10}"));
        }
    }

    [Fact]
    public void A_killed_leader_is_replaced_and_nothing_acknowledged_is_lost()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        for (int round = 0; round < 6; round++)
        {
            for (int i = 0; i < 20; i++)
            {
                cluster.Put(cluster.Nodes[i % 3], $"key{i}", $"{round}.{i}");
            }

            HarnessNode leader = cluster.LeaderOf((uint)(round % 4))!;
            leader.Crash();
            HarnessNode other = cluster.Nodes.First(n => n != leader);
            for (int i = 0; i < 20; i++)
            {
                Assert.Equal($"{round}.{i}", cluster.Get(other, $"key{i}"));
            }

            leader.Start();
            cluster.RunUntilLed();
        }
    }

    [Fact]
    public void A_minority_answers_unavailable_within_the_deadline_and_the_majority_goes_on()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        HarnessNode alone = cluster.Nodes[0];
        cluster.Network.Isolate(alone.Id, cluster.Nodes.Select(static n => n.Id));
        cluster.Run(700);
        HarnessOperation[] refused =
        [
            HarnessOperation.Put("a", "1"),
            HarnessOperation.Put("b", "1"),
            HarnessOperation.Get("a"),
            HarnessOperation.Get("b"),
        ];
        foreach (HarnessOperation operation in refused)
        {
            operation.DeadlineMs = alone.Running.MonotonicMs + 1_000;
            alone.Running.Submit(operation);
        }

        cluster.Put(cluster.Nodes[1], "a", "2");
        cluster.Put(cluster.Nodes[2], "b", "2");
        cluster.Run(1_050);
        Assert.All(refused, static o => Assert.True(o is { Completions: 1, Error: ErrorCode.Unavailable }, o.ToString()));
        cluster.Network.Heal();
        cluster.RunUntilLed();
        Assert.Equal("2", cluster.Get(alone, "a"));
        Assert.Equal("2", cluster.Get(alone, "b"));
    }

    [Fact]
    public void A_paused_leader_gives_no_stale_read_when_it_wakes_up()
    {
        var cluster = new ClusterHarness(3);
        cluster.Put(cluster.Nodes[0], "a", "old");
        uint shard = new ShardMap(4).ShardOf("a"u8).Value;
        HarnessNode leader = cluster.LeaderOf(shard)!;
        leader.IsPaused = true;
        HarnessNode other = cluster.Nodes.First(n => n != leader);
        cluster.RunUntil(() => cluster.LeaderOf(shard) is { } next && next != leader && other.Replica(shard).Group.Leader == next.Id);
        cluster.Put(other, "a", "new");
        leader.IsPaused = false;
        Assert.Equal("new", cluster.Get(leader, "a"));
    }

    [Fact]
    public void A_thousand_reads_that_come_together_share_one_round()
    {
        var cluster = new ClusterHarness(3);
        cluster.Put(cluster.Nodes[0], "a", "1");
        cluster.Run(1_000);
        HarnessNode node = cluster.Nodes[0];
        long frames = cluster.Network.FramesSent;
        HarnessOperation[] gets = [.. Enumerable.Range(0, 1000).Select(static i => HarnessOperation.Get($"k{i}"))];
        node.Running.Submit(gets);
        cluster.RunUntil(() => gets.All(static g => g.IsDone));
        Assert.All(gets, static g => Assert.Equal(ErrorCode.None, g.Error));
        Assert.InRange(cluster.Network.FramesSent - frames, 1, 60);
    }

    [Fact]
    public void At_rest_a_worker_sends_the_heartbeats_of_all_its_shards_together()
    {
        var cluster = new ClusterHarness(3, configure: static o => o with { Shards = 24, Workers = 2 });
        cluster.RunUntilLed();

        // So that leaders have been elected at different times.
        foreach (HarnessNode node in cluster.Nodes)
        {
            node.Crash();
            cluster.RunUntilLed();
            node.Start();
            cluster.Run(1_500);
        }

        cluster.Run(10_000);
        cluster.RunUntilLed();
        long frames = cluster.Network.FramesSent;
        cluster.Run(1_000);

        // Twenty times in a second, two workers of three nodes to two peers, and as many answers; 25 groups by themselves would send 2,000.
        Assert.InRange(cluster.Network.FramesSent - frames, 200, 20 * 2 * 3 * 2 * 2 + 50);
    }

    [Fact]
    public void A_caller_that_wants_the_leader_is_told_where_it_is()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        uint shard = new ShardMap(4).ShardOf("a"u8).Value;
        HarnessNode leader = cluster.LeaderOf(shard)!;
        HarnessNode other = cluster.Nodes.First(n => n != leader);
        HarnessOperation put = cluster.Complete(other, HarnessOperation.Put("a", "1", leaderOnly: true));
        Assert.Equal(ErrorCode.NotLeader, put.Error);
        Assert.Equal($"10.0.0.{leader.Id.Value}:7000", put.LeaderHint);
        Assert.Equal(ErrorCode.None, cluster.Complete(leader, HarnessOperation.Put("a", "1", leaderOnly: true)).Error);
    }

    [Fact]
    public void A_write_that_could_not_be_sent_waits_for_a_leader_and_is_not_unknown()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        uint shard = new ShardMap(4).ShardOf("a"u8).Value;
        HarnessNode leader = cluster.LeaderOf(shard)!;
        HarnessNode other = cluster.Nodes.First(n => n != leader);
        cluster.Network.Isolate(other.Id, cluster.Nodes.Select(static n => n.Id));
        HarnessOperation put = HarnessOperation.Put("a", "1");
        other.Running.Submit(put);
        cluster.Run(300);
        Assert.False(put.IsDone, put.ToString());
        cluster.Network.Heal();
        cluster.RunUntil(() => put.IsDone);
        Assert.Equal(ErrorCode.None, put.Error);
    }

    [Fact]
    public void A_retry_takes_effect_once_over_changes_of_leader()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        for (int i = 1; i <= 10; i++)
        {
            var stamp = new SessionStamp(7, (ulong)i);
            for (int attempt = 0; attempt < 3; attempt++)
            {
                cluster.Complete(cluster.Nodes[attempt], HarnessOperation.Append("log", "x", stamp));
                if (attempt == 1)
                {
                    HarnessNode leader = cluster.LeaderOf(new ShardMap(4).ShardOf("log"u8).Value)!;
                    leader.Crash();
                    leader.Start();
                }
            }
        }

        Assert.Equal(new string('x', 10), cluster.Get(cluster.Nodes[0], "log"));
    }

    [Fact]
    public void A_barrier_over_all_shards_sees_everything_acknowledged_anywhere()
    {
        var cluster = new ClusterHarness(3);
        cluster.Nodes[1].Time.SkewMs = 5_000;
        cluster.Nodes[2].Time.SkewMs = -5_000;
        for (int i = 0; i < 30; i++)
        {
            HarnessOperation put = cluster.Complete(cluster.Nodes[i % 3], HarnessOperation.Put($"k{i}", "v"));
            HarnessOperation barrier = cluster.Complete(cluster.Nodes[(i + 1) % 3], HarnessOperation.Barrier());
            Assert.Equal(ErrorCode.None, barrier.Error);
            Assert.True(barrier.Version >= put.Version);
            HarnessOperation next = cluster.Complete(cluster.Nodes[(i + 2) % 3], HarnessOperation.Put($"k{i}", "w"));
            Assert.True(next.Version > barrier.Version);
        }
    }

    [Fact]
    public void Leaders_go_back_to_where_the_ring_wants_them()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        HarnessNode node = cluster.Nodes[0];
        node.Crash();
        cluster.RunUntilLed();
        Assert.DoesNotContain(node, Enumerable.Range(0, 4).Select(s => cluster.LeaderOf((uint)s)));
        node.Start();
        cluster.RunUntil(
            () =>
                Enumerable
                    .Range(0, 4)
                    .All(s => cluster.LeaderOf((uint)s)?.Id == node.Running.Parts.Placement.FoundersOf(new ShardId((uint)s)).Preferred),
            20_000);
    }

    [Fact]
    public void An_empty_directory_under_a_known_id_is_refused()
    {
        var cluster = new ClusterHarness(3);
        cluster.Put(cluster.Nodes[0], "a", "1");
        cluster.RunUntil(() => cluster.Nodes.All(n => cluster.Nodes.All(m => n.Running.Parts.Context.Incarnations.Of(m.Id) != 0)));
        HarnessNode node = cluster.Nodes[2];
        node.Crash(CrashMode.KeepAll);
        node.LoseDisk();
        node.Start();
        cluster.RunUntil(() => node.FatalMessage is not null);
        Assert.Contains("another data directory", node.FatalMessage, StringComparison.Ordinal);
        cluster.Put(cluster.Nodes[0], "a", "2");
    }

    [Fact]
    public void A_changed_list_is_refused_with_the_way_out()
    {
        var cluster = new ClusterHarness(3);
        cluster.Put(cluster.Nodes[0], "a", "1");
        HarnessNode node = cluster.Nodes[2];
        node.Crash(CrashMode.KeepAll);
        cluster.Members = [.. cluster.Members, new ClusterMember("node4", "10.0.0.4:7000")];
        HengeException e = Assert.Throws<HengeException>(node.Start);
        Assert.Equal(ErrorCode.Misconfigured, e.Code);
        Assert.Contains("node1, node2, node3", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Replicas_come_to_the_same_state_under_loss_repetition_and_delay()
    {
        for (ulong seed = 1; seed <= 5; seed++)
        {
            var cluster = new ClusterHarness(3, seed);
            cluster.Network.LossRate = 0.05;
            cluster.Network.RepeatRate = 0.05;
            cluster.Network.DelayMaxMs = 20;
            var open = new List<HarnessOperation>();
            for (int i = 0; i < 300; i++)
            {
                HarnessOperation put = HarnessOperation.Put($"k{cluster.Random.Next(50)}", $"{i}");
                cluster.Nodes[cluster.Random.Next(3)].Running.Submit(put);
                open.Add(put);
                cluster.Run(cluster.Random.Next(8));
            }

            cluster.RunUntil(() => open.All(static o => o.IsDone), 10_000);
            cluster.Network.LossRate = 0;
            cluster.RunUntil(
                () =>
                    Enumerable
                        .Range(0, 4)
                        .All(s =>
                            cluster
                                .Nodes.Select(n => n.Replica((uint)s).Group)
                                .All(g => g.AppliedIndex == cluster.LeaderOf((uint)s)?.Replica((uint)s).Group.LastIndex)),
                10_000);
            for (uint s = 0; s < 4; s++)
            {
                Assert.Single(cluster.Nodes.Select(n => n.Replica(s).Machine.StateHash()).Distinct());
            }
        }
    }
}
