using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Raft;

namespace Henge.Node.Tests.Clusters;

public sealed class SharedHeartbeatTests
{
    [Fact]
    public void Nodes_at_rest_send_heartbeats_for_each_other_and_nothing_for_shards()
    {
        var cluster = new ClusterHarness(3);
        cluster.Put(cluster.Nodes[0], "key", "value");
        cluster.RunUntilLed();

        // Who leads is told a few times.
        cluster.Run(4_000);
        Dictionary<PeerRecordKind, int> records = [];
        cluster.Network.Lose = (_, _, frame) =>
        {
            PeerRecordReader reader = PeerFrame.ReadChecked(frame);
            while (reader.MoveNext())
            {
                records[reader.Kind] = records.GetValueOrDefault(reader.Kind) + 1;
            }

            return false;
        };
        List<Term> terms = Terms(cluster);
        cluster.Run(5_000);
        Assert.Equal(terms, Terms(cluster));
        Assert.Equal(
            [PeerRecordKind.Heartbeat, PeerRecordKind.HeartbeatAnswer, PeerRecordKind.ClockQuestion, PeerRecordKind.ClockAnswer],
            records.Keys.Order());

        // Six pairs, once a second.
        Assert.InRange(records[PeerRecordKind.ClockQuestion], 24, 36);
        Assert.InRange(records[PeerRecordKind.HeartbeatAnswer], records[PeerRecordKind.Heartbeat] - 12, records[PeerRecordKind.Heartbeat]);
    }

    [Fact]
    public void Who_has_lost_its_followers_cannot_prove_anything_and_who_comes_back_is_told()
    {
        var cluster = new ClusterHarness(3);
        cluster.Put(cluster.Nodes[0], "key", "1");
        cluster.RunUntilLed();
        cluster.Run(1_000);
        HarnessNode old = cluster.LeaderOf(0)!;
        string key = KeyOf(0);
        cluster.Put(old, key, "before");
        cluster.Network.Isolate(old.Id, cluster.Nodes.Select(static n => n.Id));
        HarnessNode other = cluster.Nodes.First(n => n != old);
        cluster.Put(other, key, "after");

        // It may think that it leads; what it answers must not be what was.
        HarnessOperation read = HarnessOperation.Get(key);
        cluster.Network.Heal();
        cluster.Complete(old, read);
        Assert.Equal("after", cluster.Get(old, key));
        cluster.Run(2_000);
        Assert.Equal("after", cluster.Get(old, key, ReadConsistency.Stale));
    }

    [Fact]
    public void A_node_that_cannot_hear_heartbeats_stands_for_election_though_it_has_everything()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        cluster.Run(2_000);
        HarnessNode leader = cluster.LeaderOf(0)!;
        List<Term> before = Terms(cluster);
        leader.Crash();
        cluster.RunUntilLed();
        Assert.NotEqual(before, Terms(cluster));
    }

    [Fact]
    public void Sets_are_told_apart_and_the_same_set_is_the_same_whatever_its_order()
    {
        NodeId peer = new(2);
        FollowedLeaders a = new(2, 10, 30, NodeBugs.None), b = new(2, 10, 30, NodeBugs.None);
        for (uint shard = 0; shard < 8; shard++)
        {
            a.Lead(peer, new ShardId(shard), new Term(3), add: true);
            b.Follow(peer, new ShardId(7 - shard), new Term(3), add: true);
        }

        Assert.True(b.Agrees(peer, a.LedFor(peer, 0, 0), 0));
        a.Lead(peer, new ShardId(2), new Term(3), add: false);
        Assert.False(b.Agrees(peer, a.LedFor(peer, 0, 0), 0));
        a.Lead(peer, new ShardId(2), new Term(4), add: true);
        Assert.False(b.Agrees(peer, a.LedFor(peer, 0, 0), 0));
        b.Follow(peer, new ShardId(2), new Term(3), add: false);
        b.Follow(peer, new ShardId(2), new Term(4), add: true);
        Assert.True(b.Agrees(peer, a.LedFor(peer, 0, 0), 0));
    }

    [Fact]
    public void What_a_worker_leads_that_stands_still_is_not_vouched_for_by_another()
    {
        NodeId peer = new(2);
        FollowedLeaders leaders = new(2, 10, 30, NodeBugs.None);
        leaders.Lead(peer, new ShardId(4), new Term(3), add: true);
        ulong even = leaders.LedFor(peer, 0, 0);
        leaders.Lead(peer, new ShardId(5), new Term(3), add: true);
        ulong both = leaders.LedFor(peer, 0, 0);
        Assert.NotEqual(even, both);
        leaders.Ran(1, 100);
        Assert.Equal(both, leaders.LedFor(peer, 0, 110));
        Assert.Equal(even, leaders.LedFor(peer, 0, 111));
        leaders.Ran(1, 111);
        Assert.Equal(both, leaders.LedFor(peer, 0, 111));
    }

    [Fact]
    public void No_heartbeat_is_answered_for_a_blocked_worker_unless_it_follows_no_leader()
    {
        NodeId peer = new(2);
        FollowedLeaders leaders = new(2, 10, 30, NodeBugs.None), sums = new(2, 10, 30, NodeBugs.None);
        leaders.Ran(0, 200);
        leaders.Follow(peer, new ShardId(4), new Term(3), add: true);
        sums.Lead(peer, new ShardId(4), new Term(3), add: true);
        Assert.True(leaders.Agrees(peer, sums.LedFor(peer, 0, 0), 200));
        leaders.Follow(peer, new ShardId(5), new Term(3), add: true);
        sums.Lead(peer, new ShardId(5), new Term(3), add: true);
        Assert.False(leaders.Agrees(peer, sums.LedFor(peer, 0, 0), 200));
        leaders.Ran(1, 170);
        Assert.True(leaders.Agrees(peer, sums.LedFor(peer, 0, 0), 200));
        Assert.False(leaders.Agrees(peer, sums.LedFor(peer, 0, 0), 201));
    }

    [Fact]
    public void Who_leads_by_workers_of_others_that_hang_steps_down_and_leads_on_by_those_that_run()
    {
        const int Shards = 12;
        var cluster = new ClusterHarness(3, configure: static o => o with { Shards = Shards });
        cluster.RunUntilLed();
        cluster.Run(2_000);
        HarnessNode node = cluster.Nodes.First(n => Enumerable.Range(0, Shards).Any(s => s % 2 == 1 && cluster.LeaderOf((uint)s) == n));
        uint[] Led(uint worker) =>
            [
                .. Enumerable
                    .Range(0, Shards)
                    .Select(static s => (uint)s)
                    .Where(s => s % 2 == worker && node.Replica(s).Group.Role == RaftRole.Leader),
            ];
        uint[] orphaned = Led(1),
            good = Led(0);
        HarnessNode[] others = [.. cluster.Nodes.Where(n => n != node)];
        Array.ForEach(others, static n => n.Workers.BlockedLane = 1);

        // No majority takes its entries, and it knows that.
        cluster.RunUntil(
            () => orphaned.All(s => node.Replica(s).Group.Role != RaftRole.Leader),
            2_000,
            "a leader to step down whose followers' workers hang");
        Assert.All(good, s => Assert.Equal(RaftRole.Leader, node.Replica(s).Group.Role));
        Array.ForEach(others, static n => n.Workers.BlockedLane = -1);
        cluster.RunUntilLed();
    }

    [Fact]
    public void The_shards_of_a_worker_that_hangs_find_other_leaders_and_those_of_its_neighbour_stay()
    {
        const int Shards = 12;
        var cluster = new ClusterHarness(3, configure: static o => o with { Shards = Shards });
        cluster.RunUntilLed();
        cluster.Run(2_000);

        // One that leads shards by both of its workers, so that the other one has something to send.
        uint[] Led(HarnessNode n, uint worker) =>
            [.. Enumerable.Range(0, Shards).Select(static s => (uint)s).Where(s => s % 2 == worker && cluster.LeaderOf(s) == n)];
        HarnessNode node = cluster.Nodes.First(n => Led(n, 0).Length > 0 && Led(n, 1).Length > 0);
        uint[] hung = Led(node, 1), good = Led(node, 0);
        Dictionary<uint, Term> terms = good.ToDictionary(static s => s, s => node.Replica(s).Group.Term);
        node.Workers.BlockedLane = 1;
        HarnessNode[] others = [.. cluster.Nodes.Where(n => n != node)];
        cluster.RunUntil(
            () => hung.All(s => others.Any(n => n.Replica(s).Group.Role == RaftRole.Leader)),
            2_000,
            "other leaders for the shards of the worker that hangs");
        cluster.Put(others[0], KeyOf(hung[0], Shards), "goes on");
        Assert.All(good, s => Assert.Equal(terms[s], node.Replica(s).Group.Term));
        node.Workers.BlockedLane = -1;
        cluster.RunUntilLed();
    }

    [Fact]
    public void An_answer_from_before_a_restart_proves_nothing_after_it()
    {
        var cluster = new ClusterHarness(3);
        string key = KeyOf(0);
        cluster.Put(cluster.Nodes[0], key, "before");
        cluster.RunUntilLed();
        HarnessNode old = cluster.LeaderOf(0)!;
        HarnessNode[] others = [.. cluster.Nodes.Where(n => n != old)];
        List<(NodeId From, byte[] Frame)> answers = [];
        cluster.Network.Lose = (from, to, frame) =>
        {
            PeerRecordReader reader = PeerFrame.ReadChecked(frame);
            while (to == old.Id && reader.MoveNext())
            {
                if (reader.Kind == PeerRecordKind.HeartbeatAnswer)
                {
                    answers.Add((from, frame));
                }
            }

            return false;
        };
        cluster.Run(5_000);
        cluster.Network.Lose = null;
        old.Crash();
        old.Start();
        cluster.RunUntilLed();
        cluster.LeaderOf(0)!.Replica(0).TransferLeadership(old.Id);
        cluster.RunUntil(() => cluster.LeaderOf(0) == old && others.All(n => n.Replica(0).Group.Leader == old.Id));
        cluster.Run(300);

        // It is cut off, another one leads, and it does not know that yet. Now answers come that were long on their way.
        cluster.Network.Isolate(old.Id, cluster.Nodes.Select(static n => n.Id));
        old.IsPaused = true;
        cluster.RunUntil(() => others.Any(static n => n.Replica(0).Group.Role == RaftRole.Leader));
        cluster.Put(others[0], key, "after");
        old.IsPaused = false;
        HarnessOperation read = HarnessOperation.Get(key);
        old.Running.Submit(read);
        cluster.Settle();
        Assert.Equal(RaftRole.Leader, old.Replica(0).Group.Role);
        Assert.False(read.IsDone);
        foreach ((NodeId _, byte[] frame) in answers)
        {
            old.Deliver(frame);
        }

        cluster.Settle();
        Assert.False(read.IsDone, "answers of before the restart have proven that it leads");
        cluster.Network.Heal();
        cluster.RunUntil(() => read.IsDone);
        Assert.Equal("after", old.Read(read));
    }

    [Fact]
    public void Nodes_with_different_numbers_of_workers_understand_each_other()
    {
        var cluster = new ClusterHarness(3, configure: static o => o with { Workers = o.Name == "node1" ? 1 : o.Name == "node2" ? 3 : 2 });
        for (int i = 0; i < 30; i++)
        {
            cluster.Put(cluster.Nodes[i % 3], $"key{i}", $"{i}");
            Assert.Equal($"{i}", cluster.Get(cluster.Nodes[(i + 1) % 3], $"key{i}"));
        }

        cluster.RunUntilLed();
        cluster.Run(2_000);
        List<Term> terms = Terms(cluster);
        cluster.Run(3_000);
        Assert.Equal(terms, Terms(cluster));
    }

    private static List<Term> Terms(ClusterHarness cluster) =>
        [.. cluster.Nodes.Where(static n => n.IsRunning).SelectMany(static n => n.Running.GetStatus().Shards.Select(static s => s.Term))];

    private static string KeyOf(uint shard, int shards = 4) =>
        Enumerable
            .Range(0, 1000)
            .Select(static i => $"key{i}")
            .First(k => new ShardMap(shards).ShardOf(System.Text.Encoding.UTF8.GetBytes(k)).Value == shard);
}
