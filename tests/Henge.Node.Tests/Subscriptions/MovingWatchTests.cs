using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Tests.Clusters;
using Henge.Raft;

namespace Henge.Node.Tests.Subscriptions;

/// <summary>Watches on clusters with more nodes than replicas, while shards move under them.</summary>
public sealed class MovingWatchTests
{
    private readonly ClusterHarness _cluster = Make();
    private int _written;

    [Fact]
    public void A_node_that_carries_only_some_shards_watches_all()
    {
        var watches = _cluster.Nodes.Select(n => new RemoteWatchHarness(_cluster, n, hidden: static _ => false)).ToList();
        Assert.Contains(watches, static w => !w.Watch.TryOpen());
        watches.ForEach(static w => w.Opened());
        Fill(60);
        watches.ForEach(static w => w.ReadUntil(60));
        watches.ForEach(static w => w.AssertNothingMore(60));
        using var resumed = new RemoteWatchHarness(
            _cluster, _cluster.Nodes[4], new WatchQuery { Resume = watches[0].Token }, hidden: static _ => false);
        Fill(10);
        resumed.ReadUntil(10);
        resumed.AssertNothingMore(10);
    }

    [Fact]
    public void Watches_at_every_node_go_on_without_a_gap_while_all_shards_move()
    {
        var watches = _cluster.Nodes.Select(n => new RemoteWatchHarness(_cluster, n, hidden: static _ => false)).ToList();
        watches.ForEach(static w => w.Opened());
        for (int round = 0; round < 3; round++)
        {
            for (uint shard = 0; shard < 4; shard++)
            {
                Fill(8);
                HarnessNode from = _cluster.Nodes.First(n => n.Hosts(shard) && n != _cluster.LeaderOf(shard));
                HarnessNode to = _cluster.Nodes.Last(n => !n.Hosts(shard));
                Move(shard, from, to);
                Fill(8);
                watches.ForEach(static w => w.Read());
            }
        }

        watches.ForEach(w => w.ReadUntil(_written));
        watches.ForEach(w => w.AssertNothingMore(_written));
    }

    [Fact]
    public void A_watcher_that_had_not_read_yet_when_its_shards_went_gets_everything_from_where_they_are()
    {
        HarnessNode node = _cluster.Nodes.First(n => Enumerable.Range(0, 4).Any(s => n.Hosts((uint)s) && n != _cluster.LeaderOf((uint)s)));
        using var watch = new RemoteWatchHarness(_cluster, node, hidden: static _ => false, readItems: 1).Opened();
        Fill(40);
        for (uint shard = 0; shard < 4; shard++)
        {
            if (node.Hosts(shard) && node != _cluster.LeaderOf(shard))
            {
                Move(shard, node, _cluster.Nodes.First(n => !n.Hosts(shard)));
            }
        }

        Fill(10);
        watch.ReadUntil(50);
        watch.AssertNothingMore(50);
    }

    private static ClusterHarness Make()
    {
        var cluster = new ClusterHarness(
            5,
            configure: static o => o with { ReplicationFactor = 3, BalanceIntervalMs = 0, MovesShards = false });
        cluster.RunUntil(
            () => Enumerable.Range(0, 4).All(s => cluster.LeaderOf((uint)s)?.Replica((uint)s).Group.IsSureOfMembership ?? false)
                && cluster.Nodes.All(static n => n.Running.ClusterId.Length > 0),
            what: "leaders everywhere");
        cluster.Run(500);
        return cluster;
    }

    private void Fill(int count)
    {
        for (int i = 0; i < count; i++)
        {
            string key = $"key{_written}";
            var shard = new ShardMap(4).ShardOf(System.Text.Encoding.UTF8.GetBytes(key));
            _cluster.RunUntil(() => _cluster.LeaderOf(shard.Value) is not null);
            _cluster.Put(_cluster.LeaderOf(shard.Value)!, key, $"{_written++}");
        }
    }

    private void Move(uint shard, HarnessNode from, HarnessNode to)
    {
        Change(shard, Voters(shard), [to.Id]);
        _cluster.RunUntil(
            () => Ask(shard, [.. Voters(shard), to.Id], []) is MembershipStatus.Accepted or MembershipStatus.Unchanged,
            20_000,
            "it has caught up");
        _cluster.RunUntil(() => _cluster.LeaderOf(shard) is { } l && l.Replica(shard).Group.IsSureOfMembership);
        Change(shard, [.. Voters(shard).Where(id => id != from.Id)], []);
        _cluster.RunUntil(() => !from.Hosts(shard), 20_000, "it is gone");
    }

    private NodeId[] Voters(uint shard) => [.. _cluster.LeaderOf(shard)!.Replica(shard).Group.Membership.Voters];

    private void Change(uint shard, NodeId[] voters, NodeId[] learners)
    {
        _cluster.RunUntil(() => Ask(shard, voters, learners) is MembershipStatus.Accepted or MembershipStatus.Unchanged, 20_000);
        _cluster.RunUntil(
            () => _cluster.LeaderOf(shard)?.Replica(shard).Group is { IsSureOfMembership: true } group
                && group.Membership.Voters.SequenceEqual(voters.Order()) && group.Membership.Learners.SequenceEqual(learners.Order()),
            20_000,
            "the change is in force");
    }

    private MembershipStatus? Ask(uint shard, NodeId[] voters, NodeId[] learners)
    {
        MembershipStatus? status = null;
        _cluster.LeaderOf(shard)?.Running.ChangeMembership(new ShardId(shard), voters, learners, s => status = s);
        _cluster.Settle();
        return status;
    }
}
