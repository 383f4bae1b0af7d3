using Henge.Core;
using Henge.Node.Api;
using Henge.Raft;
using static Henge.Node.Tests.Clusters.TableDamage;

namespace Henge.Node.Tests.Clusters;

/// <summary>
/// A leader's tables are damaged while the members of its shard change, and the one that comes needs a snapshot which only the one that
/// leaves can send (simulator seeds 251, 253 and 95000334).
/// </summary>
public sealed class DamagedLeaderTests
{
    [Theory]
    [InlineData(1UL)]
    [InlineData(2UL)]
    [InlineData(3UL)]
    public void It_hands_over_to_a_member_that_leaves_when_only_that_one_is_whole(ulong seed)
    {
        var cluster = new ClusterHarness(
            3,
            seed,
            configure: static o =>
                o with
                {
                    LogKeepEntries = 0,
                    LogSegmentBytes = 128 * 1024,
                    LogBudgetBytes = 256 * 1024,
                    BalanceIntervalMs = 0,
                });
        (string key, uint shard) = Fill(cluster);
        HarnessNode damaged = cluster.LeaderOf(shard)!;
        HarnessNode[] others = [.. cluster.Nodes.Where(node => node != damaged)];
        HarnessNode leaving = others[0], coming = others[1];
        Assert.Equal(MembershipStatus.Accepted, Change(cluster, damaged, shard, [damaged.Id, leaving.Id], [coming.Id]));
        cluster.RunUntil(() => IsInForce(damaged, shard));

        // The one that is to come misses what the log soon forgets.
        cluster.Network.Lose = (_, to, _) => to == coming.Id;
        LogIndex has = coming.Replica(shard).Group.LastIndex;
        string last = "";
        for (int round = 0; round < 60 || damaged.Replica(shard).Group.CompactedIndex <= has; round++)
        {
            Assert.True(round < 1_000, "the log is kept\n" + cluster.Describe());
            last = $"{round} {new string('v', 10_000)}";
            cluster.Put(damaged, key, last);
        }

        Assert.Equal(MembershipStatus.Accepted, Change(cluster, damaged, shard, [damaged.Id, coming.Id], []));
        Assert.Equal(RaftRole.Leader, damaged.Replica(shard).Group.Role);
        damaged.Running.Parts.Context.Engine.Flush();
        FlipBits(damaged);
        damaged.Replica(shard).Machine.ReportDamage(new HengeException(ErrorCode.Corruption, "a block of a table cannot be read"));
        Assert.True(damaged.Replica(shard).Group.Membership.IsJoint);

        cluster.Network.Lose = null;
        cluster.RunUntil(
            () => cluster.LeaderOf(shard) is { } leader && IsInForce(leader, shard) && IsWhole(damaged),
            30_000,
            "a whole leader, the end of the change, and a rebuilt replica");
        Assert.True(cluster.LeaderOf(shard)!.Replica(shard).Group.Membership.IsVoter(coming.Id));
        Assert.Equal(last, cluster.Get(coming, key));
        Assert.All(cluster.Nodes, static node => Assert.Null(node.FatalMessage));
    }

    private static MembershipStatus Change(ClusterHarness cluster, HarnessNode leader, uint shard, NodeId[] voters, NodeId[] learners)
    {
        MembershipStatus? status = null;
        leader.Running.ChangeMembership(new ShardId(shard), voters, learners, s => status = s);
        cluster.RunUntil(() => status is not null);
        return status!.Value;
    }

    private static bool IsInForce(HarnessNode leader, uint shard) =>
        leader.Replica(shard).Group is { Role: RaftRole.Leader, Membership.IsJoint: false } group
        && group.MembershipIndex <= group.CommitIndex;
}
