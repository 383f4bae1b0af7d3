using Henge.Core;
using Henge.Node.Tests.Clusters;

namespace Henge.Node.Tests.Admin;

/// <summary>An operator hands the lead of a shard over.</summary>
public sealed class TransferTests
{
    private const uint Shard = 2;

    [Fact]
    public void A_transfer_stays_over_looks_and_restarts_and_can_be_taken_back()
    {
        AdminHarness admin = new(3);
        admin.Cluster.Run(12_000);
        HarnessNode before = admin.Cluster.LeaderOf(Shard)!, after = admin.Cluster.Nodes.First(n => n != before);
        before.Running.TransferLeader(new ShardId(Shard), after.Id);
        admin.Cluster.RunUntil(() => admin.Cluster.LeaderOf(Shard) == after && PlannedLeader(admin) == after.Id, what: "it is handed over");

        // Looks at who should lead are every 200 ms here; and at loads, which are none, every ten seconds.
        Term term = after.Replica(Shard).Group.Term;
        admin.Cluster.Run(45_000);
        Assert.Equal((after, term), (admin.Cluster.LeaderOf(Shard), after.Replica(Shard).Group.Term));
        after.Crash();
        admin.Cluster.RunUntil(() => admin.Cluster.LeaderOf(Shard) is { } other && other != after, what: "another one leads");
        after.Start();
        admin.Cluster.RunUntil(() => admin.Cluster.LeaderOf(Shard) == after, 20_000, "it leads again");

        after.Running.TransferLeader(new ShardId(Shard), before.Id);
        admin.Cluster.RunUntil(
            () => admin.Cluster.LeaderOf(Shard) == before && PlannedLeader(admin) == before.Id,
            what: "it is taken back");
    }

    [Fact]
    public void All_can_be_handed_to_one_member_however_uneven_that_is()
    {
        AdminHarness admin = new(3);
        admin.Cluster.Run(12_000);
        HarnessNode to = admin.Cluster.Nodes[2];
        for (uint s = 0; s < 4; s++)
        {
            if (admin.Cluster.LeaderOf(s) is { } leader && leader != to)
            {
                leader.Running.TransferLeader(new ShardId(s), to.Id);
            }
        }

        admin.Cluster.RunUntil(() => admin.Led(to.Name) == 4, 10_000, "it leads all");
        admin.Cluster.Run(45_000);
        Assert.Equal(4, admin.Led(to.Name));
    }

    private static NodeId PlannedLeader(AdminHarness admin) =>
        admin.Cluster.Running.First().Running.GetPlacement().Shards[(int)Shard].Planned[0];
}
