using System.Diagnostics;
using System.Globalization;
using Henge.Cluster.Planning;
using Henge.Core;

// Henge.Planner [MEMBERS [SHARDS [ZONES]]]: plans joins, losses and rebalances of a large cluster, and prints time and memory of each.
int members = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 1_000;
int shards = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 100_000;
int zones = args.Length > 2 ? int.Parse(args[2], CultureInfo.InvariantCulture) : 5;
PlanMember Member(int number) => new() { Id = new NodeId((ulong)number), Name = $"node{number}", Zone = $"z{number % zones}" };
PlanMember[] all = [.. Enumerable.Range(1, members).Select(Member)];

// One member has everything; the first plan adds what is missing, and a rebalance spreads it.
var target = TargetPlacement.From(1, 1, [.. Enumerable.Repeat(new[] { all[0].Id }, shards)]);
Console.WriteLine($"{members:n0} nodes, {zones} zones, {shards:n0} shards, 3 replicas each; .NET {Environment.Version}");
Console.WriteLine($"{"plan",-34} {"ms",8} {"allocated MiB",14} {"copies",9} {"removals",9} {"leaders",9} {"off fair",9}");
target = Run("from one node to all", target, all);
target = Run("the same, rebalanced", target, all, rebalance: true);
_ = Run("nothing to do", target, all);
_ = Run("one node joins", target, [.. all, Member(members + 1)]);
_ = Run("100 nodes join", target, [.. all, .. Enumerable.Range(members + 1, 100).Select(Member)]);
_ = Run("one node leaves", target, [.. all.Select(static m => m.Id.Value == 7 ? m with { State = MemberState.Leaving } : m)]);
PlanMember[] lost = [.. all.Select(m => m.Zone == "z0" ? m with { DownForMs = PlanRequest.DefaultReplaceAfterMs } : m)];
TargetPlacement afterLoss = Run("a zone is lost", target, lost);
TargetPlacement afterReturn = Run("it comes back", afterLoss, all);
_ = Run("and a rebalance", afterReturn, all, rebalance: true);
PlanMember[] unlike = [.. all.Select(static m => m with { Weight = 50 + (int)(m.Id.Value * 37 % 300) })];
_ = Run("weights change: a rebalance", target, unlike, rebalance: true);
_ = Run("replication factor 5", target, all, replicas: 5);
_ = Run("replication factor 2", target, all, replicas: 2);

static TargetPlacement Run(string name, TargetPlacement present, PlanMember[] members, bool rebalance = false, int replicas = 3)
{
    PlanRequest request = new() { Members = members, Present = present, ReplicationFactor = replicas, Rebalance = rebalance };

    // The first run is not counted.
    PlacementPlan plan = PlacementPlanner.Plan(request);
    List<double> times = [];
    long allocated = 0;
    for (int i = 0; i < 3; i++)
    {
        GC.Collect();
        long before = GC.GetAllocatedBytesForCurrentThread();
        var clock = Stopwatch.StartNew();
        plan = PlacementPlanner.Plan(request);
        times.Add(clock.Elapsed.TotalMilliseconds);
        allocated = GC.GetAllocatedBytesForCurrentThread() - before;
    }

    times.Sort();
    double off = plan.Shares.Max(static s => Math.Abs(s.After - s.Fair));
    string costs = $"{times[1],8:n0} {allocated / 1048576.0,14:n1}";
    Console.WriteLine(
        $"{name,-34} {costs} {plan.Copies,9:n0} {plan.Removals,9:n0} {plan.LeaderChanges,9:n0} {off,9:n2}");
    foreach (PlanProblem problem in plan.Problems)
    {
        Console.WriteLine($"    {problem.Kind}: {problem.Shards.Count:n0} shards");
    }

    return plan.Target;
}
