using Henge.Cluster.Planning;
using Henge.Core;

namespace Henge.Cluster.Tests.Planning;

/// <summary>A cluster whose members change and whose plans are followed at once; each plan is checked against the rules.</summary>
internal sealed class PlannedCluster
{
    public const long Lost = PlanRequest.DefaultReplaceAfterMs;

    private readonly SortedDictionary<ulong, PlanMember> _members = [];

    /// <summary>Begins with one member that carries everything.</summary>
    public PlannedCluster(int shards, int replicas, PlanMember? first = null)
    {
        Replicas = replicas;
        Add(first ?? Member(1));
        Target = TargetPlacement.From(1, replicas, [.. Enumerable.Range(0, shards).Select(_ => new[] { _members.Values.First().Id })]);
    }

    public TargetPlacement Target { get; private set; }

    public int Replicas { get; set; }

    public IEnumerable<PlanMember> Members => _members.Values;

    public int Holders => Members.Count(Holds);

    public static PlanMember Member(ulong number, string zone = "", int weight = 100) =>
        new() { Id = new NodeId(number), Name = $"node{number}", Zone = zone, Weight = weight };

    public PlanMember this[ulong number]
    {
        get => _members[number];
        set => _members[number] = value;
    }

    public void Add(PlanMember member) => _members.Add(member.Id.Value, member);

    public PlanRequest Request(bool rebalance = false) =>
        new() { Members = [.. Members], Present = Target, ReplicationFactor = Replicas, Rebalance = rebalance };

    public PlacementPlan Plan(bool rebalance = false)
    {
        PlacementPlan plan = PlacementPlanner.Plan(Request(rebalance));
        Check(plan);
        if (!rebalance)
        {
            CheckStays(plan);
        }

        return plan;
    }

    public PlacementPlan Follow(bool rebalance = false)
    {
        PlacementPlan plan = Plan(rebalance);
        Target = plan.Target;

        // Once all is where it shall be, there is nothing to do; but who was left with nothing counts as new.
        PlacementPlan again = Plan();
        if (again.IsChange && plan.Shares.Any(static s => s.After == 0 && s.Fair > 0))
        {
            Target = again.Target;
            again = Plan();
        }

        Assert.False(again.IsChange);
        return plan;
    }

    public IReadOnlyList<ulong> Row(int shard)
    {
        List<ulong> row = [];
        foreach (NodeId id in Target.ReplicasOf(new ShardId((uint)shard)))
        {
            row.Add(id.Value);
        }

        return row;
    }

    public static bool Holds(PlanMember member) =>
        member.State is not (MemberState.Leaving or MemberState.Left) && !(member.DownForMs >= Lost);

    public static bool Takes(PlanMember member) => member.State == MemberState.Up && member.DownForMs is null;

    public static void CheckShares(PlacementPlan plan, double within) =>
        Assert.All(plan.Shares, s => Assert.InRange(s.After - s.Fair, -within, within));

    private static ulong[] Numbers(TargetPlacement target, int shard)
    {
        var row = target.ReplicasOf(new ShardId((uint)shard)).ToArray();
        return [.. row.Select(static id => id.Value)];
    }

    // What holds of every plan.
    private void Check(PlacementPlan plan)
    {
        HashSet<uint> narrow =
        [
            .. plan.Problems
                .Where(static p => p.Kind == PlanProblemKind.TooFewNodes)
                .SelectMany(static p => p.Shards)
                .Select(static s => s.Value),
        ];
        HashSet<uint> leaderless =
        [
            .. plan.Problems
                .Where(static p => p.Kind == PlanProblemKind.NobodyToLead)
                .SelectMany(static p => p.Shards)
                .Select(static s => s.Value),
        ];
        for (int s = 0; s < Target.ShardCount; s++)
        {
            ulong[] before = Numbers(Target, s);
            ulong[] after = Numbers(plan.Target, s);
            Assert.Equal(after.Length, after.Distinct().Count());
            Assert.True(after.Length <= Replicas || after.All(m => !Holds(_members[m])));
            Assert.Equal(after.Length < Replicas, narrow.Contains((uint)s));
            foreach (ulong came in after.Except(before))
            {
                Assert.True(Takes(_members[came]));
            }

            // Who goes keeps a replica only where nobody could take its place.
            if (after.Any(m => !Holds(_members[m])))
            {
                Assert.All(Members.Where(Takes), m => Assert.Contains(m.Id.Value, after));
                Assert.Contains(plan.Problems, p => p.Kind == PlanProblemKind.NoPlaceElsewhere);
            }

            Assert.Equal(!after.Any(m => Takes(_members[m])), leaderless.Contains((uint)s));
            Assert.True(Takes(_members[after[0]]) || !after.Any(m => Takes(_members[m])));
        }
    }

    // Without a rebalance, nobody who stays gets a replica for one that stayed, and nobody who stays gives one to another who stays.
    private void CheckStays(PlacementPlan plan)
    {
        HashSet<ulong> carried = [];
        for (int s = 0; s < Target.ShardCount; s++)
        {
            carried.UnionWith(Numbers(Target, s));
        }

        for (int s = 0; s < Target.ShardCount; s++)
        {
            ulong[] before = Numbers(Target, s);
            ulong[] after = Numbers(plan.Target, s);
            int missing = Math.Max(0, Replicas - before.Count(m => Holds(_members[m])));
            Assert.True(after.Except(before).Count(carried.Contains) <= missing);
        }
    }
}
