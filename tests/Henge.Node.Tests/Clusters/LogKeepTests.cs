using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Raft;
using Henge.Storage.Lsm.Settings;

namespace Henge.Node.Tests.Clusters;

/// <summary>What a node keeps of a shard's log when its log has grown: enough for members that are a little behind.</summary>
public sealed class LogKeepTests
{
    private const uint Shard = 0;
    private const long Budget = 256 * 1024;

    /// <summary>A follower does not know who is behind. It once dropped all that it had made durable.</summary>
    [Fact]
    public void A_member_that_is_a_little_behind_needs_no_snapshot_when_another_member_leads()
    {
        var cluster = new ClusterHarness(
            3,
            configure: static o => o with
            {
                Shards = 1,
                LogSegmentBytes = 16 * 1024,
                LogBudgetBytes = Budget,
                Limits = new NodeLimits { CommandBytes = 4 * 1024 },
                LogKeepEntries = 10_000,
                BalanceIntervalMs = 0,
            })
        {
            EngineOptions = new LsmOptions { Directory = "", MemTableBytes = 1 << 20, MemoryBytes = 8 << 20 },
        };
        cluster.RunUntilLed();
        HarnessNode leader = cluster.LeaderOf(Shard)!;
        HarnessNode[] others = [.. cluster.Nodes.Where(n => n != leader)];
        (HarnessNode next, HarnessNode behind) = (others[0], others[1]);
        int puts = 0;
        void Put() => cluster.Put(leader, $"k{puts++ % 40}", new string('v', 500));
        while (next.Running.Parts.Log.SizeBytes <= Budget * 3 / 4)
        {
            Put();
        }

        cluster.Network.Isolate(behind.Id, cluster.Nodes.Select(static n => n.Id));
        for (int i = 0; i < 20; i++)
        {
            Put();
        }

        // Both have all on their disks, and look at their logs while these are large.
        LogIndex has = behind.Replica(Shard).Group.LastIndex;
        foreach (HarnessNode node in (HarnessNode[])[leader, next])
        {
            node.Running.Parts.Context.Engine.Flush();
        }

        cluster.Run(1_000);
        Assert.True(next.Replica(Shard).Group.CompactedIndex > LogIndex.Zero, "nothing was compacted");
        Assert.True(next.Replica(Shard).Group.CompactedIndex <= has, "the follower has dropped what another member lacks");
        Assert.True(leader.Replica(Shard).Group.CompactedIndex <= has, "the leader has dropped what another member lacks");
        Assert.InRange(next.Running.Parts.Log.SizeBytes, 0, Budget);
        leader.Running.TransferLeader(new ShardId(Shard), next.Id);
        cluster.RunUntil(() => next.Replica(Shard).Group.Role == RaftRole.Leader, what: "another member leads");
        cluster.Network.Heal();
        cluster.RunUntil(
            () => behind.Replica(Shard).Group.AppliedIndex == next.Replica(Shard).Group.AppliedIndex, what: "the member has caught up");
        Assert.DoesNotContain(cluster.Nodes.SelectMany(static n => n.Events), static e => e.Name == nameof(INodeEvents.SnapshotSending));
    }
}
