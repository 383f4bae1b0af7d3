using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;

namespace Henge.Node.Tests.Clusters;

/// <summary>Clocks that are wrong by hours and years (docs/decisions/0133).</summary>
public sealed class ClockTests
{
    private const long HourMs = 3_600_000;
    private const long YearMs = 365 * 24 * HourMs;

    public static TheoryData<int, long> Errors()
    {
        var data = new TheoryData<int, long>();
        foreach (long ms in new[] { 2 * HourMs, YearMs, 70 * YearMs, -2 * HourMs, -YearMs, -50 * YearMs })
        {
            data.Add(0, ms);
            data.Add(2, ms);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Errors))]
    public void One_clock_that_is_wrong_ends_no_key_early_and_no_node(int whose, long errorMs)
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        foreach (int key in Enumerable.Range(0, 20))
        {
            PutFor(cluster, cluster.Nodes[key % 3], $"k{key}", HourMs);
        }

        cluster.Nodes[whose].Time.SkewMs = errorMs;
        Scan(cluster, cluster.Nodes[whose]);
        foreach (int key in Enumerable.Range(0, 20))
        {
            PutFor(cluster, cluster.Nodes[key % 3], $"l{key}", HourMs);
        }

        Scan(cluster, cluster.Nodes[whose]);

        // A measurement is kept for three seconds, and the next one comes within a second.
        cluster.Run(6_000);
        foreach (HarnessNode node in cluster.Nodes)
        {
            Assert.Null(node.FatalMessage);
            Assert.All(Enumerable.Range(0, 20), k => Assert.Equal("v", cluster.Get(node, $"k{k}")));
            Assert.All(Enumerable.Range(0, 20), k => Assert.Equal("v", cluster.Get(node, $"l{k}")));
            Assert.All(
                node.Running.GetStatus().Shards,
                s => Assert.InRange(s.LastVersion.ToTime(), Right(cluster).AddMinutes(-1), Right(cluster).AddSeconds(1)));
        }

        ClockStatus status = cluster.Nodes[whose].Running.GetStatus().Clock;
        Assert.True(status.IsOverruled);
        Assert.InRange(status.SkewMs, errorMs - 50, errorMs + 50);
        Assert.False(cluster.Nodes[1].Running.GetStatus().Clock.IsOverruled);
        cluster.RunUntil(() => cluster.Nodes[1].HasTold(nameof(INodeEvents.PeerClockOff), cluster.Nodes[whose].Name));
    }

    [Theory]
    [InlineData(-40 * YearMs)]
    [InlineData(-2 * HourMs)]
    [InlineData(2 * HourMs)]
    public void A_shard_does_not_begin_while_two_clocks_contradict_each_other_and_the_third_is_not_known(long errorMs)
    {
        var cluster = new ClusterHarness(3);
        cluster.Nodes[2].Crash();
        cluster.Nodes[1].Time.SkewMs = errorMs;
        cluster.RunUntil(() => Enumerable.Range(0, 4).All(s => cluster.LeaderOf((uint)s) is not null), what: "leaders");
        cluster.Run(3_000);
        HarnessOperation put = HarnessOperation.Put("k", "v");
        put.DeadlineMs = cluster.Nodes[0].Running.MonotonicMs + 1_000;
        Assert.Equal(ErrorCode.Unavailable, cluster.Complete(cluster.Nodes[0], put).Error);
        Assert.All(cluster.Running, static n => Assert.All(n.Running.GetStatus().Shards, static s => Assert.True(s.LastVersion.IsZero)));
        Assert.All(cluster.Running, static n => Assert.True(n.Running.GetStatus().Clock is { IsKnown: true, IsContested: true }));

        cluster.Nodes[2].Start();
        cluster.RunUntilLed();
        PutFor(cluster, cluster.Nodes[0], "k", HourMs);
        cluster.Run(6_000);
        Assert.All(cluster.Nodes, n => Assert.Equal("v", cluster.Get(n, "k")));
        Assert.All(cluster.Nodes, static n => Assert.False(n.Running.GetStatus().Clock.IsContested));

        // What has begun goes on.
        cluster.Nodes[2].Crash();
        cluster.RunUntilLed();
        PutFor(cluster, cluster.Nodes[0], "l", HourMs);
        Assert.Equal("v", cluster.Get(cluster.Nodes[0], "l"));
    }

    [Theory]
    [InlineData(2 * HourMs)]
    [InlineData(70 * YearMs)]
    [InlineData(-YearMs)]
    public void A_node_that_starts_with_a_wrong_clock_goes_by_the_others(long errorMs)
    {
        var cluster = new ClusterHarness(3, start: false);
        cluster.Nodes[0].Time.SkewMs = errorMs;
        foreach (HarnessNode node in cluster.Nodes)
        {
            node.Start();
        }

        cluster.RunUntilLed();
        PutFor(cluster, cluster.Nodes[0], "k", HourMs);
        Scan(cluster, cluster.Nodes[0]);
        cluster.Nodes[0].Stop();
        cluster.Nodes[0].Start();
        cluster.RunUntilLed();
        Scan(cluster, cluster.Nodes[0]);
        Assert.Equal("v", cluster.Get(cluster.Nodes[0], "k"));
        Assert.Equal("v", cluster.Get(cluster.Nodes[1], "k"));
        Assert.All(
            cluster.Nodes[1].Running.GetStatus().Shards,
            s => Assert.InRange(s.LastVersion.ToTime(), Right(cluster).AddMinutes(-1), Right(cluster).AddSeconds(1)));
    }

    [Fact]
    public void A_time_to_live_ends_for_all_nodes_together_however_their_clocks_differ()
    {
        var cluster = new ClusterHarness(3);
        cluster.Nodes[1].Time.SkewMs = 400;
        cluster.Nodes[2].Time.SkewMs = -400;
        cluster.RunUntilLed();
        for (int round = 0; round < 20; round++)
        {
            string key = $"k{round}";
            PutFor(cluster, cluster.Nodes[0], key, 300);
            bool gone = false;
            for (int i = 0; i < 120; i++)
            {
                bool there = cluster.Get(cluster.Nodes[(i + round) % 3], key) is not null;
                Assert.False(there && gone, "a key that was gone is there again");
                gone |= !there;
                cluster.Run(7);
            }

            Assert.True(gone);
        }
    }

    [Fact]
    public void A_leader_writes_nothing_before_it_knows_the_clocks_of_a_majority()
    {
        var cluster = new ClusterHarness(3);
        bool lost = true;
        cluster.Network.Lose = (_, _, frame) =>
            lost
            && frame.Length > PeerFrame.HeaderBytes
            && (PeerRecordKind)frame[PeerFrame.HeaderBytes] is PeerRecordKind.ClockQuestion or PeerRecordKind.ClockAnswer;
        cluster.RunUntilLed();
        var put = HarnessOperation.Put("k", "v");
        cluster.Nodes[0].Running.Submit(put);
        cluster.Run(1_000);
        Assert.False(put.IsDone);
        Assert.False(cluster.Nodes[0].Running.GetStatus().Clock.IsKnown);
        lost = false;
        cluster.RunUntil(() => put.IsDone);
        Assert.Equal(ErrorCode.None, put.Error);
    }

    [Fact]
    public void An_advance_far_ahead_of_the_leaders_clock_is_refused_and_never_in_a_log()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        HarnessNode leader = cluster.LeaderOf(0)!;
        HarnessNode other = cluster.Nodes.First(n => n != leader);
        var far = Core.Version.FromTime(Right(cluster).AddHours(1));
        leader.Replica(0).OnAdvance(other.Id, far);
        leader.Replica(0).OnAdvance(other.Id, Core.Version.Max);
        cluster.Run(100);
        Assert.True(leader.Replica(0).LastLoggedVersion < far);
        Assert.Equal(2, leader.Running.GetStatus().Activity.AdvancesRefused);
        Assert.True(leader.Replica(0).TryAdvance(leader.Running.Now, out _));
    }

    [Fact]
    public void A_read_at_a_version_that_the_leader_does_not_go_to_is_refused_over_the_wire_with_whose_clock_it_is()
    {
        // One node goes by its own clock, and asks for more than the others go along with.
        var cluster = new ClusterHarness(
            3,
            configure: static o =>
                o with
                {
                    Shards = 1,
                    BalanceIntervalMs = 0,
                    Bugs = o.Name == "node3" ? NodeBugs.TrustOwnClock : NodeBugs.None,
                });
        cluster.RunUntilLed();
        HarnessNode other = cluster.Nodes[2];
        if (cluster.LeaderOf(0) == other)
        {
            other.Replica(0).TransferLeadership(cluster.Nodes[0].Id);
            cluster.RunUntil(() => cluster.LeaderOf(0) is { } next && next != other && other.Replica(0).Group.Leader == next.Id);
        }

        HarnessNode leader = cluster.LeaderOf(0)!;
        int refusals = 0;
        cluster.Network.Lose = (from, to, frame) =>
        {
            PeerRecordReader reader = PeerFrame.ReadChecked(frame);
            while (reader.MoveNext())
            {
                refusals += reader.Kind == PeerRecordKind.AdvanceRefused && from == leader.Id && to == other.Id ? 1 : 0;
            }

            return false;
        };
        other.Time.SkewMs = 2 * HourMs;
        HarnessOperation scan = cluster.Complete(other, HarnessOperation.Barrier());
        Assert.Equal((ErrorCode.Unavailable, 1), (scan.Error, refusals));
        Assert.Contains(leader.Name, scan.ErrorMessage, StringComparison.Ordinal);
        Assert.Contains(other.Name, scan.ErrorMessage, StringComparison.Ordinal);
        Assert.Equal((1, 0), (leader.Running.GetStatus().Activity.AdvancesRefused, other.Running.GetStatus().Activity.AdvancesRefused));
        Assert.True(leader.Replica(0).LastLoggedVersion.ToTime() < Right(cluster).AddMinutes(1));
        other.Time.SkewMs = 0;
        Scan(cluster, other);
    }

    [Fact]
    public void A_peers_clock_that_was_set_counts_with_the_next_answer_even_when_that_took_longer()
    {
        var time = new HarnessTime();
        var options = new NodeOptions
        {
            Name = "node1",
            DataDirectory = "/data",
            Cluster = [.. Enumerable.Range(1, 3).Select(static i => new ClusterMember($"node{i}", $"h{i}:1"))],
        };
        var clock = new ClusterClock(time, time.GetTimestamp(), [new(1), new(2), new(3)], new NodeId(1), options);
        void Answer(long aheadMs, long tookMs)
        {
            long askedAt = time.GetTimestamp();
            time.Advance(tookMs);
            clock.OnAnswer(new NodeId(2), time.GetUtcNow().ToUnixTimeMilliseconds() - (tookMs / 2) + aheadMs, askedAt);
            time.Advance(1_000);
        }

        Answer(0, tookMs: 2);
        Answer(15, tookMs: 40);
        Assert.Equal(0, clock.Of(new NodeId(2)).AheadMs);
        Answer(HourMs, tookMs: 40);
        Assert.InRange(clock.Of(new NodeId(2)).AheadMs, HourMs - 20, HourMs + 20);
    }

    [Fact]
    public void A_node_that_is_alone_refuses_writes_at_the_end_of_the_range_of_versions_and_lives()
    {
        var cluster = new ClusterHarness(1);
        cluster.RunUntilLed();
        cluster.Put(cluster.Nodes[0], "k", "1");
        cluster.Nodes[0].Time.SkewMs = 75 * YearMs;
        HarnessOperation put = cluster.Complete(cluster.Nodes[0], HarnessOperation.Put("k", "2"));
        Assert.Equal(ErrorCode.Unavailable, put.Error);
        cluster.Run(3_000);
        Assert.Null(cluster.Nodes[0].FatalMessage);
        cluster.Nodes[0].Time.SkewMs = 0;
        cluster.Put(cluster.Nodes[0], "k", "3");
        Assert.Equal("3", cluster.Get(cluster.Nodes[0], "k"));
        cluster.Nodes[0].Stop();
        cluster.Nodes[0].Start();
        cluster.RunUntilLed();
        Assert.Equal("3", cluster.Get(cluster.Nodes[0], "k"));
    }

    [Fact]
    public void Shards_whose_versions_are_far_ahead_only_count_and_take_no_other_along()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();

        // A majority's clocks were an hour ahead once.
        string ahead = KeyOf(cluster, 0), other = KeyOf(cluster, 1);
        cluster.Nodes[0].Time.SkewMs = cluster.Nodes[1].Time.SkewMs = HourMs;
        cluster.Run(5_000);
        cluster.Put(cluster.Nodes[0], ahead, "1");
        cluster.Nodes[0].Time.SkewMs = cluster.Nodes[1].Time.SkewMs = 0;
        cluster.Run(5_000);
        Core.Version before = cluster.LeaderOf(0)!.Replica(0).LastLoggedVersion;
        Assert.True(before.ToTime() > Right(cluster).AddMinutes(59));
        for (int i = 0; i < 5; i++)
        {
            cluster.Put(cluster.Nodes[i % 3], ahead, "2");
        }

        Assert.Equal(before.Value + 5, cluster.LeaderOf(0)!.Replica(0).LastLoggedVersion.Value);
        PutFor(cluster, cluster.Nodes[0], other, HourMs / 2);
        HarnessOperation scan = HarnessOperation.Barrier();
        Assert.Equal(ErrorCode.Unavailable, cluster.Complete(cluster.Nodes[2], scan).Error);
        Assert.Equal("v", cluster.Get(cluster.Nodes[0], other));
        Assert.InRange(cluster.Nodes[0].Running.GetStatus().Clock.VersionLeadMs, HourMs - 60_000, HourMs);
        Assert.True(cluster.Nodes[0].HasTold(nameof(INodeEvents.VersionsAheadOfClocks)));
    }

    private static DateTimeOffset Right(ClusterHarness cluster) =>
        cluster.Nodes[1].Time.GetUtcNow().AddMilliseconds(-cluster.Nodes[1].Time.SkewMs);

    private static string KeyOf(ClusterHarness cluster, uint shard) =>
        Enumerable
            .Range(0, 1_000)
            .Select(static i => $"key{i}")
            .First(k => cluster.Nodes[0].Running.Parts.Context.Shards.ShardOf(Encoding.UTF8.GetBytes(k)).Value == shard);

    private static void Scan(ClusterHarness cluster, HarnessNode node)
    {
        HarnessOperation scan = cluster.Complete(node, HarnessOperation.Barrier());
        Assert.True(scan.Error == ErrorCode.None, scan.ErrorMessage);
    }

    private static void PutFor(ClusterHarness cluster, HarnessNode node, string key, long ttlMs) =>
        Assert.Equal(ErrorCode.None, cluster.Complete(node, HarnessOperation.PutFor(key, "v", ttlMs)).Error);
}
