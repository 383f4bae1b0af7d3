using Henge.Cluster;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Hosting;
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
        cluster.Run(2_000);
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
        Assert.Equal([PeerRecordKind.Heartbeat, PeerRecordKind.HeartbeatAnswer], records.Keys.Order());
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
        FollowedLeaders a = new(3, NodeBugs.None), b = new(3, NodeBugs.None);
        for (uint shard = 0; shard < 8; shard++)
        {
            a.Lead(peer, new ShardId(shard), new Term(3), add: true);
            b.Follow(peer, new ShardId(7 - shard), new Term(3), add: true);
        }

        Assert.True(b.Agrees(peer, a.LedFor(peer)));
        a.Lead(peer, new ShardId(2), new Term(3), add: false);
        Assert.False(b.Agrees(peer, a.LedFor(peer)));
        a.Lead(peer, new ShardId(2), new Term(4), add: true);
        Assert.False(b.Agrees(peer, a.LedFor(peer)));
        b.Follow(peer, new ShardId(2), new Term(3), add: false);
        b.Follow(peer, new ShardId(2), new Term(4), add: true);
        Assert.True(b.Agrees(peer, a.LedFor(peer)));
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

    private static List<Term> Terms(ClusterHarness cluster) => [.. cluster.Nodes.Where(static n => n.IsRunning).SelectMany(static n => n.Running.GetStatus().Shards.Select(static s => s.Term))];

    private static string KeyOf(uint shard) =>
        Enumerable.Range(0, 1000).Select(static i => $"key{i}").First(k => new ShardMap(4).ShardOf(System.Text.Encoding.UTF8.GetBytes(k)).Value == shard);
}
