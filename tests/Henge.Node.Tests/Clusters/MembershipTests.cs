using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Raft;

namespace Henge.Node.Tests.Clusters;

public sealed class MembershipTests
{
    private static readonly ShardId Shard = new(0);
    private static readonly NodeId[] Everyone = [new(1), new(2), new(3)];

    [Fact]
    public void A_member_leaves_a_shard_and_comes_back_by_a_snapshot()
    {
        var cluster = new ClusterHarness(
            3,
            configure: static o =>
                o with
                {
                    LogKeepEntries = 0,
                    LogSegmentBytes = 128 * 1024,
                    LogBudgetBytes = 256 * 1024,
                    BalanceIntervalMs = 0,
                });
        cluster.RunUntilLed();
        HarnessNode gone = cluster.Nodes.First(n => n != cluster.LeaderOf(0));
        LogIndex before = gone.Replica(0).Group.LastIndex;
        Change(cluster, [.. Everyone.Where(id => id != gone.Id)], []);
        Assert.Equal(2, cluster.LeaderOf(0)!.Running.GetStatus().Shards[0].Voters.Count);
        cluster.RunUntil(() => !gone.Hosts(0), 10_000, "what it has is dropped");
        string[] keys =
        [
            .. Enumerable
                .Range(0, 400)
                .Select(static i => $"key{i}")
                .Where(k => new ShardMap(4).ShardOf(System.Text.Encoding.UTF8.GetBytes(k)) == Shard),
        ];
        for (int round = 0; round < 12; round++)
        {
            foreach (string key in keys)
            {
                cluster.Put(cluster.LeaderOf(0)!, key, $"{round} {new string('v', 1_000)}");
            }
        }

        cluster.Run(1_000);
        Assert.True(
            cluster.LeaderOf(0)!.Replica(0).Group.CompactedIndex > before,
            "the log behind which the member fell was kept\n" + cluster.Describe());

        // Straight to a vote is refused: it would count for a majority without having anything.
        Assert.Equal(MembershipStatus.NotALearner, Ask(cluster, Everyone, []));
        Change(cluster, [.. Everyone.Where(id => id != gone.Id)], [gone.Id]);
        cluster.RunUntil(
            () => Ask(cluster, Everyone, []) is MembershipStatus.Accepted or MembershipStatus.Unchanged,
            20_000,
            "the learner has caught up");
        cluster.RunUntil(() => IsInForce(cluster, Everyone, []), 5_000, "all three vote");
        Assert.True(gone.HasTold(nameof(INodeEvents.SnapshotInstalled)));
        Assert.All(keys, key => Assert.StartsWith("11 ", cluster.Get(gone, key), StringComparison.Ordinal));
    }

    [Fact]
    public void A_leader_that_loses_its_vote_hands_over_and_what_it_acknowledged_stays()
    {
        var cluster = new ClusterHarness(3, configure: static o => o with { BalanceIntervalMs = 0 });
        cluster.RunUntilLed();
        HarnessNode old = cluster.LeaderOf(0)!;
        for (int i = 0; i < 40; i++)
        {
            cluster.Put(old, $"key{i}", $"{i}");
        }

        NodeId[] others = [.. Everyone.Where(id => id != old.Id)];
        Assert.Equal(MembershipStatus.Accepted, Ask(cluster, others, [old.Id]));
        cluster.RunUntil(
            () => cluster.LeaderOf(0) is { } leader && leader != old && IsInForce(cluster, others, [old.Id]),
            5_000,
            "another leader");
        Assert.Equal(ReplicaRole.Learner, old.Running.GetStatus().Shards[0].Role);
        for (int i = 0; i < 40; i++)
        {
            Assert.Equal($"{i}", cluster.Get(old, $"key{i}"));
        }
    }

    [Fact]
    public void A_change_of_unknown_members_is_refused()
    {
        var cluster = new ClusterHarness(3);
        Assert.Throws<HengeException>(() => cluster.Nodes[0].Running.ChangeMembership(Shard, [new NodeId(4)], [], static _ => { }));
        Assert.Throws<HengeException>(() => cluster.Nodes[0].Running.ChangeMembership(ShardId.Catalog, Everyone, [], static _ => { }));
        Assert.Throws<HengeException>(() => cluster.Nodes[0].Running.ChangeMembership(new ShardId(99), Everyone, [], static _ => { }));
    }

    private static void Change(ClusterHarness cluster, NodeId[] voters, NodeId[] learners)
    {
        Assert.Equal(MembershipStatus.Accepted, Ask(cluster, voters, learners));
        cluster.RunUntil(() => IsInForce(cluster, voters, learners), 5_000, "the change is in force");
    }

    private static MembershipStatus Ask(ClusterHarness cluster, NodeId[] voters, NodeId[] learners)
    {
        MembershipStatus? status = null;
        cluster.LeaderOf(0)!.Running.ChangeMembership(Shard, voters, learners, s => status = s);
        cluster.RunUntil(() => status is not null);
        return status!.Value;
    }

    private static bool IsInForce(ClusterHarness cluster, NodeId[] voters, NodeId[] learners) =>
        cluster.LeaderOf(0)?.Running.GetStatus().Shards[0] is { IsJoint: false } status
        && status.Voters.SequenceEqual(voters)
        && status.Learners.SequenceEqual(learners)
        && cluster.LeaderOf(0)!.Replica(0).Group is { } group
        && group.MembershipIndex <= group.CommitIndex;
}
