using Henge.Cluster.Planning;
using Henge.Core;

namespace Henge.Cluster.Tests.Planning;

public sealed class PlacementPlannerTests
{
    private static PlannedCluster Grown(int shards, int replicas, int members, Func<ulong, string>? zone = null)
    {
        PlannedCluster cluster = new(shards, replicas, PlannedCluster.Member(1, zone?.Invoke(1) ?? ""));
        for (ulong n = 2; n <= (ulong)members; n++)
        {
            cluster.Add(PlannedCluster.Member(n, zone?.Invoke(n) ?? ""));
            cluster.Follow();
        }

        return cluster;
    }

    [Theory]
    [InlineData(16, 3)]
    [InlineData(64, 3)]
    [InlineData(64, 5)]
    [InlineData(1_000, 3)]
    public void A_cluster_grows_from_one_member_and_every_step_is_fair(int shards, int replicas)
    {
        PlannedCluster cluster = new(shards, replicas);
        for (ulong n = 2; n <= 20; n++)
        {
            cluster.Add(PlannedCluster.Member(n));
            PlacementPlan plan = cluster.Follow();
            int width = Math.Min(replicas, (int)n);
            Assert.InRange(plan.Copies, 0, (int)Math.Ceiling(shards * width / (double)n) + 1);
            PlannedCluster.CheckShares(plan, 1);
            double lead = shards / (double)n;
            Assert.All(plan.Shares, s => Assert.InRange(s.Leads, Math.Floor(lead), Math.Ceiling(lead)));
        }
    }

    [Fact]
    public void Replicas_of_a_member_that_leaves_are_made_elsewhere_and_nothing_else_moves()
    {
        PlannedCluster cluster = Grown(64, 3, 6);
        int carried = Enumerable.Range(0, 64).Count(s => cluster.Row(s).Contains(2UL));
        cluster[2] = cluster[2] with { State = MemberState.Leaving };
        PlacementPlan plan = cluster.Follow();
        Assert.Equal(carried, plan.Copies);
        Assert.Equal(carried, plan.Removals);
        Assert.All(Enumerable.Range(0, 64), s => Assert.DoesNotContain(2UL, cluster.Row(s)));
        PlannedCluster.CheckShares(plan, 1);
        Assert.Empty(plan.Problems);
    }

    [Theory]
    [InlineData(PlannedCluster.Lost - 1, false)]
    [InlineData(PlannedCluster.Lost, true)]
    public void A_member_that_is_down_is_replaced_after_a_time(long downForMs, bool replaced)
    {
        PlannedCluster cluster = Grown(16, 3, 5);
        cluster[3] = cluster[3] with { DownForMs = downForMs };
        PlacementPlan plan = cluster.Follow();
        Assert.Equal(replaced, plan.Copies > 0);
        Assert.Equal(replaced, !Enumerable.Range(0, 16).Any(s => cluster.Row(s).Contains(3UL)));

        // It leads nothing at once.
        Assert.All(Enumerable.Range(0, 16), s => Assert.NotEqual(3UL, cluster.Row(s)[0]));
        if (replaced)
        {
            // When it comes back after that, it takes its share again.
            cluster[3] = cluster[3] with { DownForMs = null };
            PlannedCluster.CheckShares(cluster.Follow(), 1);
        }
    }

    [Fact]
    public void A_member_that_is_drained_keeps_its_replicas_and_leads_nothing()
    {
        PlannedCluster cluster = Grown(16, 3, 4);
        cluster[1] = cluster[1] with { State = MemberState.Draining };
        PlacementPlan plan = cluster.Follow();
        Assert.Equal(0, plan.Copies);
        Assert.Equal(0, plan.Removals);
        Assert.True(plan.LeaderChanges > 0);
        Assert.Equal(0, plan.Shares.Single(static s => s.Id.Value == 1).Leads);
        cluster[1] = cluster[1] with { State = MemberState.Up };
        Assert.Equal(4, cluster.Follow().Shares.Single(static s => s.Id.Value == 1).Leads);
    }

    [Fact]
    public void Members_that_are_joining_draining_or_down_take_nothing()
    {
        PlannedCluster cluster = Grown(16, 3, 3);
        cluster.Add(PlannedCluster.Member(4) with { State = MemberState.Joining });
        cluster.Add(PlannedCluster.Member(5) with { State = MemberState.Draining });
        cluster.Add(PlannedCluster.Member(6) with { DownForMs = 1 });
        Assert.False(cluster.Follow().IsChange);
        cluster[4] = cluster[4] with { State = MemberState.Up };
        Assert.Equal(12, cluster.Follow().Copies);
    }

    [Fact]
    public void What_has_no_place_stays_and_the_reason_is_told()
    {
        PlannedCluster cluster = Grown(16, 3, 3);
        cluster[3] = cluster[3] with { State = MemberState.Leaving };
        PlacementPlan plan = cluster.Follow();
        PlanProblem problem = Assert.Single(plan.Problems);
        Assert.Equal(PlanProblemKind.NoPlaceElsewhere, problem.Kind);
        Assert.Equal([new NodeId(3)], problem.Members);
        Assert.Equal(16, problem.Shards.Count);
        Assert.Contains("node3", problem.Text, StringComparison.Ordinal);
        Assert.Contains("only 2 nodes can take one (node1, node2)", problem.Text, StringComparison.Ordinal);
        Assert.All(Enumerable.Range(0, 16), s => Assert.Contains(3UL, cluster.Row(s)));

        // With a lower factor it may go; with another node, too.
        cluster.Replicas = 2;
        Assert.Empty(cluster.Plan().Problems);
        cluster.Replicas = 3;
        cluster.Add(PlannedCluster.Member(4));
        Assert.Empty(cluster.Follow().Problems);
        Assert.All(Enumerable.Range(0, 16), s => Assert.DoesNotContain(3UL, cluster.Row(s)));
    }

    [Fact]
    public void Shards_with_too_few_replicas_are_named_with_the_reason()
    {
        PlannedCluster cluster = Grown(8, 3, 2);
        cluster.Add(PlannedCluster.Member(3) with { DownForMs = 12_345 });
        PlanProblem problem = Assert.Single(cluster.Follow().Problems);
        Assert.Equal(PlanProblemKind.TooFewNodes, problem.Kind);
        Assert.Equal(8, problem.Shards.Count);
        Assert.Contains("3 replicas on different nodes", problem.Text, StringComparison.Ordinal);
        Assert.Contains("node3 has been down for 12 s", problem.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Where_nobody_is_left_the_target_stays_written_down()
    {
        PlannedCluster cluster = new(4, 1);
        cluster[1] = cluster[1] with { State = MemberState.Left };
        PlacementPlan plan = PlacementPlanner.Plan(cluster.Request());
        Assert.Equal(1UL, plan.Target.ReplicasOf(new ShardId(0))[0].Value);
        Assert.Contains(plan.Problems, static p => p.Kind == PlanProblemKind.NobodyToLead);
    }

    [Theory]
    [InlineData(1, 5)]
    [InlineData(5, 1)]
    [InlineData(3, 5)]
    [InlineData(3, 2)]
    public void Another_replication_factor_adds_or_drops_what_it_must(int from, int to)
    {
        PlannedCluster cluster = Grown(60, from, 7);
        cluster.Replicas = to;
        PlacementPlan plan = cluster.Follow();
        Assert.Equal(60 * Math.Max(0, to - from), plan.Copies);
        Assert.Equal(60 * Math.Max(0, from - to), plan.Removals);
        PlannedCluster.CheckShares(plan, 1);
        Assert.All(Enumerable.Range(0, 60), s => Assert.Equal(to, cluster.Row(s).Count));
    }

    [Theory]
    [InlineData(3, 9)]
    [InlineData(2, 9)]
    [InlineData(5, 15)]
    [InlineData(4, 7)]
    public void Each_zone_has_a_replica_of_each_shard(int zones, int members)
    {
        PlannedCluster cluster = Grown(64, 3, members, n => $"z{n % (ulong)zones}");
        cluster.Follow(rebalance: true);
        for (int s = 0; s < 64; s++)
        {
            int there = cluster.Row(s).Select(n => cluster[n].Zone).Distinct().Count();
            Assert.Equal(Math.Min(3, zones), there);
        }
    }

    [Fact]
    public void When_zones_are_alike_a_cluster_grows_in_them_without_a_rebalance()
    {
        PlannedCluster cluster = Grown(64, 3, 3, static n => $"z{n % 3}");
        for (ulong n = 4; n <= 12; n += 3)
        {
            for (ulong z = 0; z < 3; z++)
            {
                cluster.Add(PlannedCluster.Member(n + z, $"z{(n + z) % 3}"));
            }

            PlacementPlan plan = cluster.Follow();
            Assert.Empty(plan.Problems);
            PlannedCluster.CheckShares(plan, 1);
        }
    }

    [Fact]
    public void When_a_zone_is_lost_the_others_take_its_replicas_and_give_them_back()
    {
        PlannedCluster cluster = Grown(64, 3, 12, static n => $"z{n % 3}");
        cluster.Follow(rebalance: true);
        foreach (ulong n in new ulong[] { 1, 4, 7, 10 })
        {
            cluster[n] = cluster[n] with { DownForMs = PlannedCluster.Lost };
        }

        PlacementPlan lost = cluster.Follow();
        Assert.Equal(64, lost.Copies);
        PlannedCluster.CheckShares(lost, 1.5);
        foreach (ulong n in new ulong[] { 1, 4, 7, 10 })
        {
            cluster[n] = cluster[n] with { DownForMs = null };
        }

        PlacementPlan back = cluster.Follow();
        Assert.Equal(64, back.Copies);
        Assert.Empty(back.Problems);
    }

    [Fact]
    public void A_lonely_node_in_a_new_zone_takes_its_part_and_a_rebalance_the_rest()
    {
        PlannedCluster cluster = Grown(60, 2, 2, static _ => "a");
        cluster.Add(PlannedCluster.Member(3, "b"));
        PlacementPlan plan = cluster.Follow();
        Assert.Equal(41, plan.Copies);
        PlanProblem problem = Assert.Single(plan.Problems);
        Assert.Equal(PlanProblemKind.NotSpread, problem.Kind);
        Assert.Equal(19, problem.Shards.Count);
        PlacementPlan spread = cluster.Follow(rebalance: true);
        Assert.Equal(19, spread.Copies);
        Assert.Empty(spread.Problems);
        Assert.Equal(60, spread.Shares.Single(static s => s.Id.Value == 3).After);
    }

    [Fact]
    public void Members_carry_and_lead_by_weight()
    {
        PlannedCluster cluster = new(600, 3, PlannedCluster.Member(1, weight: 200));
        cluster.Add(PlannedCluster.Member(2, weight: 100));
        cluster.Add(PlannedCluster.Member(3, weight: 100));
        cluster.Add(PlannedCluster.Member(4, weight: 50));
        cluster.Add(PlannedCluster.Member(5, weight: 150));
        cluster.Follow();
        PlacementPlan plan = cluster.Follow(rebalance: true);
        Assert.Equal([600, 300, 300, 150, 450], plan.Shares.Select(static s => s.After));
        Assert.Equal([200, 100, 100, 50, 150], plan.Shares.Select(static s => s.Leads));
    }

    [Fact]
    public void A_member_too_strong_for_its_weight_carries_each_shard_once()
    {
        PlannedCluster cluster = new(40, 2, PlannedCluster.Member(1, weight: 1_000));
        cluster.Add(PlannedCluster.Member(2));
        cluster.Add(PlannedCluster.Member(3));
        PlacementPlan plan = cluster.Follow();
        Assert.Equal([40, 20, 20], plan.Shares.Select(static s => s.After));
    }

    [Fact]
    public void A_changed_weight_moves_nothing_until_a_rebalance()
    {
        PlannedCluster cluster = Grown(60, 3, 6);
        cluster[6] = cluster[6] with { Weight = 50 };
        PlacementPlan plan = cluster.Follow();
        Assert.Equal(0, plan.Copies);
        PlacementPlan rebalanced = cluster.Follow(rebalance: true);
        PlannedCluster.CheckShares(rebalanced, 1);
        Assert.InRange(rebalanced.Copies, 12, 15);
    }

    [Fact]
    public void The_order_of_members_does_not_matter()
    {
        PlannedCluster cluster = Grown(64, 3, 9, static n => $"z{n % 2}");
        cluster[4] = cluster[4] with { State = MemberState.Leaving };
        cluster.Add(PlannedCluster.Member(10, "z1"));
        PlanRequest request = cluster.Request();
        PlacementPlan a = PlacementPlanner.Plan(request);
        PlacementPlan b = PlacementPlanner.Plan(request with { Members = [.. request.Members.Reverse()] });
        Assert.True(a.Target.HasSameReplicas(b.Target));
        Assert.Equal(a.Copies, b.Copies);
    }

    [Fact]
    public void A_founding_placement_is_taken_over_as_it_is()
    {
        Placement founding = Placement.Create(new ShardMap(64), new HashRing(["node1", "node2", "node3", "node4", "node5"]), 3);
        TargetPlacement target = TargetPlacement.Founding(
            founding, 3, Enumerable.Range(1, 5).ToDictionary(static n => $"node{n}", static n => new NodeId((ulong)n)));
        PlanMember[] members = [.. Enumerable.Range(1, 5).Select(static n => PlannedCluster.Member((ulong)n))];
        PlacementPlan plan = PlacementPlanner.Plan(new PlanRequest { Members = members, Present = target, ReplicationFactor = 3 });
        Assert.Equal(0, plan.Copies);
        Assert.All(
            Enumerable.Range(0, 64),
            s => Assert.Equal(
                founding.ReplicasOf(new ShardId((uint)s)).Order(),
                plan.Target.ReplicasOf(new ShardId((uint)s)).ToArray().Select(static id => $"node{id.Value}").Order()));
    }

    [Fact]
    public void Inputs_that_make_no_sense_are_refused()
    {
        PlannedCluster cluster = new(4, 3);
        PlanRequest request = cluster.Request();
        PlanMember good = PlannedCluster.Member(2);
        PlanRequest[] bad =
        [
            request with { ReplicationFactor = 0 },
            request with { ReplicationFactor = TargetPlacement.MaxReplicas + 1 },
            request with { Members = [good, good] },
            request with { Members = [good with { Weight = 0 }] },
            request with { Members = [good with { Weight = PlanMember.MaxWeight + 1 }] },
            request with { Members = [good with { Name = "" }] },
            request with { Members = [good with { Id = NodeId.None }] },
        ];
        Assert.All(
            bad,
            static r => Assert.Equal(
                ErrorCode.InvalidArgument, Assert.Throws<HengeException>(() => PlacementPlanner.Plan(r)).Code));
    }
}
