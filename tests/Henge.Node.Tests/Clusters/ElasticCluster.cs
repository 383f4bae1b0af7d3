using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Moves;

namespace Henge.Node.Tests.Clusters;

/// <summary>A cluster that plans for itself, whose members are replaced within seconds.</summary>
internal sealed class ElasticCluster
{
    public const long DownAfterMs = 500;

    public ElasticCluster(
        int nodes,
        int replicas = 3,
        ulong seed = 1,
        long replaceAfterMs = 4_000,
        Func<NodeOptions, NodeOptions>? configure = null)
    {
        configure ??= static o => o;
        Harness = new ClusterHarness(
            nodes,
            seed,
            o => configure(o with
            {
                ReplicationFactor = replicas,
                BalanceIntervalMs = 500,
            }));
        Harness.RunUntilLed();
        Harness.RunUntil(() => Harness.Nodes.All(static n => n.Running.ClusterId.Length > 0), what: "the cluster is made");
        Set(("down-after-ms", DownAfterMs), ("replace-after-ms", replaceAfterMs));
        RunUntilPlaced();
    }

    public ClusterHarness Harness { get; }

    public int Shards => Harness.Running.First().Running.Parts.Context.Shards.Count;

    public HarnessNode CatalogLeader =>
        Harness.LeaderOf(ShardId.Catalog.Value) ?? throw new InvalidOperationException("nobody leads the catalog");

    public PlacementKeeper Keeper => CatalogLeader.Running.Parts.Planner;

    public HarnessNode Node(int number) => Harness.Nodes.Single(n => n.Id.Value == (ulong)number);

    /// <summary>Lets time pass until all shards are where the plan has them, and the plan is final.</summary>
    public void RunUntilPlaced(long limitMs = 30_000)
    {
        Harness.Run(1_000);
        Harness.RunUntil(
            () => Harness.LeaderOf(ShardId.Catalog.Value)?.Running.Parts.Placements.Read() is { } state
                && state.Goal.HasSameReplicas(state.Followed)
                && Enumerable.Range(0, Shards).All(s =>
                    VotersOf((uint)s).ToHashSet().SetEquals(state.Followed.ReplicasOf(new ShardId((uint)s)).ToArray())),
            limitMs,
            "shards are where they are to be");
    }

    /// <summary>Puts settings of the cluster into the catalog.</summary>
    public void Set(params (string Name, long Value)[] settings) => ClusterSettings.Set(Harness, settings);

    public void SetState(HarnessNode member, MemberState to)
    {
        bool done = false;
        HengeNode via = Harness.Running.First(n => n != member).Running;
        via.SetMemberState(
            member.Id,
            [MemberState.Up, MemberState.Draining, MemberState.Leaving],
            to,
            via.MonotonicMs + 10_000,
            problem =>
            {
                Assert.Null(problem);
                done = true;
            });
        Harness.RunUntil(() => done, 12_000, $"{member.Name} is {to}");
    }

    public HarnessNode Join(string name, string address)
    {
        HarnessNode node = Harness.Add(name, address);
        HarnessJoin join = node.Join(Harness.Running.First());
        Assert.True(join.Answer is not null, join.Problem?.Message);
        node.Start();
        return node;
    }

    /// <summary>Who carries a shard, as its leader has it; empty while that changes.</summary>
    public IReadOnlyList<NodeId> VotersOf(uint shard) =>
        Harness.LeaderOf(shard)?.Replica(shard).Group is { IsSureOfMembership: true, Membership: { Learners.Count: 0 } now }
            ? now.Voters
            : [];

    public int Carried(NodeId member) => Enumerable.Range(0, Shards).Count(s => VotersOf((uint)s).Contains(member));

    public int Led(NodeId member) => Enumerable.Range(0, Shards).Count(s => Harness.LeaderOf((uint)s)?.Id == member);

    public bool IsAtRest(int replicas) => Enumerable.Range(0, Shards).All(s => VotersOf((uint)s).Count == replicas);

    public MemberState StateOf(NodeId member) =>
        CatalogLeader.Running.Parts.Members.View!.Members.Single(m => m.Id == member).State;

    public ShardStatus Catalog => CatalogLeader.Running.Parts.Hosted[ShardId.Catalog].Status;

    public void Fill(int keys, int bytes = 20)
    {
        for (int i = 0; i < keys; i++)
        {
            Harness.Put(Harness.Running.First(), $"key{i}", $"v{i}".PadRight(bytes, '.'));
        }
    }

    public void AssertFilled(int keys, int bytes = 20)
    {
        for (int i = 0; i < keys; i++)
        {
            Assert.Equal($"v{i}".PadRight(bytes, '.'), Harness.Get(Harness.Running.Last(), $"key{i}"));
        }
    }
}
