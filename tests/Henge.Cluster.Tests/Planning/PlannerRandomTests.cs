using Henge.Cluster.Planning;

namespace Henge.Cluster.Tests.Planning;

/// <summary>Random lives of clusters; every plan is checked by <see cref="PlannedCluster"/>.</summary>
public sealed class PlannerRandomTests
{
    private static readonly int Seeds =
        int.Parse(Environment.GetEnvironmentVariable("HENGE_PLANNER_SEEDS") ?? "100", System.Globalization.CultureInfo.InvariantCulture);

    [Fact]
    public void Joins_leaves_and_failures_in_any_order_end_within_one_replica_of_fair()
    {
        for (int seed = 0; seed < Seeds; seed++)
        {
            Random random = new(seed);
            int shards = random.Next(1, 100);
            PlannedCluster cluster = new(shards, random.Next(1, 6));
            ulong next = 2;
            for (int step = 0; step < 20; step++)
            {
                // Several changes at once, as when plans come later than changes.
                for (int i = random.Next(1, 4); i > 0; i--)
                {
                    Change(cluster, random, ref next, static _ => PlannedCluster.Member(0));
                }

                PlacementPlan plan = cluster.Follow();
                Assert.All(
                    plan.Shares.Where(s => PlannedCluster.Holds(cluster[s.Id.Value])),
                    s => Assert.True(Math.Abs(s.After - s.Fair) <= 1.001, $"seed {seed} step {step}: {s}"));
            }
        }
    }

    [Fact]
    public void After_anything_a_rebalance_ends_within_one_replica_of_fair_in_all_zones()
    {
        for (int seed = 0; seed < Seeds; seed++)
        {
            Random random = new(seed);
            int zones = random.Next(1, 6);
            PlannedCluster cluster = new(random.Next(1, 80), random.Next(1, 6));
            ulong next = 2;
            for (int step = 0; step < 15; step++)
            {
                for (int i = random.Next(1, 4); i > 0; i--)
                {
                    Change(
                        cluster,
                        random,
                        ref next,
                        r => PlannedCluster.Member(0, $"z{r.Next(zones)}", r.Next(4) == 0 ? r.Next(50, 400) : 100),
                        mayStandBy: true);
                }

                cluster.Follow(rebalance: random.Next(5) == 0);
            }

            foreach (PlanMember member in cluster.Members.Where(static m => m.State is MemberState.Draining).ToArray())
            {
                cluster[member.Id.Value] = member with { State = MemberState.Up };
            }

            cluster.Follow();
            PlacementPlan plan = cluster.Follow(rebalance: true);
            Assert.All(
                plan.Shares.Where(s => PlannedCluster.Holds(cluster[s.Id.Value])),
                s => Assert.True(Math.Abs(s.After - s.Fair) <= 1.001, $"seed {seed}: {s}"));
            Assert.DoesNotContain(plan.Problems, static p => p.Kind == PlanProblemKind.NotSpread);
            Assert.Equal(0, cluster.Follow(rebalance: true).Copies);
        }
    }

    [Fact]
    public void A_join_moves_no_more_than_its_part_and_one()
    {
        for (int seed = 0; seed < Seeds; seed++)
        {
            Random random = new(seed);
            int zones = random.Next(1, 6);
            PlannedCluster cluster = new(random.Next(1, 100), random.Next(1, 4), PlannedCluster.Member(1, "z0"));
            for (ulong n = 2; n <= 15; n++)
            {
                int weight = random.Next(3) == 0 ? random.Next(50, 200) : 100;
                cluster.Add(PlannedCluster.Member(n, $"z{random.Next(zones)}", weight));
                PlacementPlan plan = cluster.Follow();
                if ((int)n > cluster.Replicas)
                {
                    double part = weight / (double)cluster.Members.Sum(static m => m.Weight);
                    Assert.InRange(plan.Copies, 0, (int)(part * cluster.Target.ShardCount * cluster.Replicas) + 1);
                }
            }
        }
    }

    private static void Change(
        PlannedCluster cluster, Random random, ref ulong next, Func<Random, PlanMember> make, bool mayStandBy = false)
    {
        PlanMember[] there = [.. cluster.Members.Where(static m => m.State != MemberState.Left)];
        PlanMember one = there[random.Next(there.Length)];
        switch (random.Next(mayStandBy ? 9 : 6))
        {
            case 0 or 1 or 2:
                cluster.Add(make(random) with { Id = new(next), Name = $"node{next}" });
                next++;
                break;
            case 3 when cluster.Holders > cluster.Replicas + 1:
                cluster[one.Id.Value] = one with { State = MemberState.Leaving, DownForMs = null };
                break;
            case 4 when cluster.Holders > cluster.Replicas + 1 && one.State == MemberState.Up:
                cluster[one.Id.Value] = one with { DownForMs = PlannedCluster.Lost };
                break;
            case 5:
                // Those that are gone and carry nothing are struck off, or come back.
                foreach (PlanMember member in there.Where(m => !PlannedCluster.Holds(m) && !Carries(cluster, m)))
                {
                    cluster[member.Id.Value] = member.State == MemberState.Leaving
                        ? member with { State = MemberState.Left }
                        : member with { DownForMs = null };
                }

                break;
            case 6 when one.State == MemberState.Up:
                cluster[one.Id.Value] = one with { State = MemberState.Draining };
                break;
            case 7 when one.State == MemberState.Draining:
                cluster[one.Id.Value] = one with { State = MemberState.Up };
                break;
            case 8:
                cluster.Replicas = random.Next(1, 6);
                break;
        }
    }

    private static bool Carries(PlannedCluster cluster, PlanMember member) =>
        Enumerable.Range(0, cluster.Target.ShardCount).Any(s => cluster.Row(s).Contains(member.Id.Value));
}
