using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Tests.Clusters;
using Henge.Raft;

namespace Henge.Node.Tests.Admin;

/// <summary>A cluster that plans where its replicas are, and is asked for changes as an operator does.</summary>
internal sealed class AdminHarness
{
    /// <summary>Makes the cluster; of its founders, the last may never come up.</summary>
    public AdminHarness(
        int founders,
        int replicas = 3,
        ulong seed = 1,
        int shards = 4,
        bool isLastAbsent = false,
        Func<string, string>? zoneOf = null)
    {
        Cluster = new ClusterHarness(
            founders,
            seed,
            o => o with { ReplicationFactor = replicas, BalanceIntervalMs = 200, Shards = shards, Zone = zoneOf?.Invoke(o.Name) ?? "" },
            start: false);
        int started = isLastAbsent ? founders - 1 : founders;
        foreach (HarnessNode node in Cluster.Nodes.Take(started))
        {
            node.Start();
        }

        Cluster.RunUntilLed();
        Cluster.RunUntil(() => Cluster.Running.All(static n => n.Running.ClusterId.Length > 0), what: "the cluster is made");
        Cluster.RunUntil(
            () => Cluster.Running.All(n => n.Running.GetPlacement() is { IsKnown: true } p && p.Members.Count == founders
                && n.Running.Parts.Members.View!.Members.Count() == started),
            what: "all have written themselves in");
    }

    public ClusterHarness Cluster { get; }

    public HarnessNode Node(string name) => Cluster.Nodes.Last(n => n.Name == name);

    public HarnessNode Join(string name)
    {
        HarnessNode node = Cluster.Add(name, $"10.0.1.{Cluster.Nodes.Count}:7000");
        HarnessJoin join = node.Join(Cluster.Running.First());
        Assert.True(join.Answer is not null, join.Problem?.Message);
        node.Start();
        RunUntilState(name, MemberState.Up);
        return node;
    }

    /// <summary>Asks a node for a change; the others that do not run are said not to answer.</summary>
    public (ClusterChangeAnswer? Answer, HengeException? Problem) Ask(ClusterChange change, HarnessNode? via = null)
    {
        via ??= Cluster.Running.First();
        (ClusterChangeAnswer? Answer, HengeException? Problem)? came = null;
        via.Running.Change(
            change with { Unreachable = [.. Cluster.Nodes.Where(static n => !n.IsRunning).Select(static n => n.Id)] },
            via.Running.MonotonicMs + 10_000,
            (answer, problem) => came = (answer, problem));
        Cluster.RunUntil(() => came is not null, 12_000, $"{change.Kind} was answered");
        return came!.Value;
    }

    public ClusterChangeAnswer Do(ClusterChangeKind kind, string node = "", string successor = "", bool dryRun = false, bool force = false)
    {
        (ClusterChangeAnswer? answer, HengeException? problem) = Ask(new ClusterChange
        {
            Kind = kind,
            Node = node,
            Successor = successor,
            IsDryRun = dryRun,
            IsForced = force,
        });
        Assert.True(problem is null, problem?.Message);
        return answer!;
    }

    public HengeException Refused(ClusterChangeKind kind, string node = "", string successor = "")
    {
        (ClusterChangeAnswer? answer, HengeException? problem) = Ask(new ClusterChange { Kind = kind, Node = node, Successor = successor });
        Assert.Null(answer);
        Assert.Equal(ErrorCode.InvalidArgument, problem!.Code);
        return problem;
    }

    public (ClusterChangeAnswer? Answer, HengeException? Problem) Set(string name, string value) =>
        Ask(new ClusterChange { Kind = ClusterChangeKind.Set, Setting = name, Value = value });

    public MemberState StateOf(string name) =>
        Cluster.Running.First().Running.GetPlacement().Members.Last(m => m.Name == name).State;

    public void RunUntilState(string name, MemberState state, long limitMs = 20_000) =>
        Cluster.RunUntil(
            () => Cluster.Running.Where(n => n.Name != name && n.FatalMessage is null).All(n =>
                n.Running.GetPlacement().Members.LastOrDefault(m => m.Name == name) is { Name: not null } known && known.State == state),
            limitMs,
            $"{name} is {state}");

    /// <summary>The replicas that a node has and does not give up.</summary>
    public int Replicas(string name) =>
        Enumerable.Range(0, Shards).Count(s => VotersOf(s).Contains(Node(name).Id));

    public int Led(string name) => Enumerable.Range(0, Shards).Count(s => Cluster.LeaderOf((uint)s)?.Name == name);

    public int Shards => Cluster.Running.First().Running.Parts.Context.Shards.Count;

    public IReadOnlyList<NodeId> VotersOf(int shard) =>
        Cluster.LeaderOf((uint)shard)?.Replica((uint)shard).Group is { Role: RaftRole.Leader } group ? group.Membership.Voters : [];

    /// <summary>Lets time pass until all shards are where the plan has them, as all nodes know it.</summary>
    public void RunUntilSettled(long limitMs = 60_000) =>
        Cluster.RunUntil(
            () => Enumerable.Range(0, Shards).All(s =>
                Cluster.Running.First().Running.GetPlacement().Shards[s] is var target
                && VotersOf(s).ToHashSet().SetEquals(target.Planned)
                && Cluster.LeaderOf((uint)s)!.Replica((uint)s).Group.Membership is { IsJoint: false, Learners.Count: 0 }),
            limitMs,
            "every shard is where the plan has it");
}
