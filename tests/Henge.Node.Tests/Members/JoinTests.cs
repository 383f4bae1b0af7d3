using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Catalog;
using Henge.Node.Context;
using Henge.Node.Tests.Clusters;
using Henge.Testing.Files;

namespace Henge.Node.Tests.Members;

public sealed class JoinTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void A_node_joins_follows_the_catalog_and_is_known_to_all(int founders)
    {
        ClusterHarness cluster = Cluster(founders);
        HarnessNode joined = Join(cluster, cluster.Nodes[^1], "node9");
        Assert.Equal((ulong)founders + 1, joined.Id.Value);
        RunUntilUp(cluster, joined);
        Assert.Equal(cluster.Nodes[0].Running.ClusterId, joined.Running.ClusterId);
        Assert.All(cluster.Nodes, node =>
        {
            Topology topology = node.Running.GetTopology();
            Assert.Equal(founders + 1, topology.Nodes.Count);
            Assert.Contains(topology.Nodes, n => n.Name == "node9" && n.Address == "10.0.0.9:7000" && n.Id == joined.Id);
        });

        // It is what it was after restarts, its own and the others', together and alone.
        joined.Crash(CrashMode.LoseAllUnsynced);
        joined.Start();
        cluster.RunUntil(() => joined.Running.GetTopology().Nodes.Count == founders + 1);
        foreach (HarnessNode node in cluster.Nodes)
        {
            node.Crash(CrashMode.LoseAllUnsynced);
        }

        foreach (HarnessNode node in cluster.Nodes)
        {
            node.Start();
        }

        cluster.Run(1_000);
        Assert.All(cluster.Nodes, node => Assert.Equal(founders + 1, node.Running.GetTopology().Nodes.Count));
        cluster.Put(cluster.Nodes[0], "key", "value");
        Assert.Null(joined.FatalMessage);
    }

    [Fact]
    public void A_node_without_replicas_says_that_it_cannot_serve_unless_it_hands_on()
    {
        ClusterHarness cluster = Cluster(3);
        HarnessNode joined = Join(cluster, cluster.Nodes[0], "node9");
        RunUntilUp(cluster, joined);
        cluster.Put(cluster.Nodes[0], "key", "value");
        HarnessOperation get = cluster.Complete(joined, HarnessOperation.Get("key"));
        Assert.True(get.Error is ErrorCode.Unavailable or ErrorCode.None, get.ToString());
    }

    [Fact]
    public void Nodes_that_join_at_once_through_different_members_get_different_numbers()
    {
        ClusterHarness cluster = Cluster(3);
        HarnessNode[] joining = [.. Enumerable.Range(0, 6).Select(i => cluster.Add($"new{i}", $"10.0.1.{i}:7000"))];
        var answers = new JoinAnswer?[joining.Length];
        var begun = new NodeJoining[joining.Length];
        for (int i = 0; i < joining.Length; i++)
        {
            int at = i;
            begun[i] = joining[i].Begin();
            HengeNode via = cluster.Nodes[i % 3].Running;
            via.Join(begun[i].Request, via.MonotonicMs + 20_000, (answer, _) => answers[at] = answer);
        }

        cluster.RunUntil(() => Array.TrueForAll(answers, static a => a is not null), 20_000, "all have joined");
        Assert.Equal(Enumerable.Range(4, 6).Select(static i => (ulong)i), answers.Select(static a => a!.Id.Value).Order());
        for (int i = 0; i < joining.Length; i++)
        {
            begun[i].Complete(answers[i]!);
            begun[i].Dispose();
            joining[i].Id = answers[i]!.Id;
            joining[i].Start();
        }

        cluster.RunUntil(() => joining.All(j => IsUp(cluster, j)), 20_000, "all are up");
        Assert.All(cluster.Nodes, static node => Assert.Null(node.FatalMessage));
    }

    [Fact]
    public void A_join_that_was_broken_off_goes_on_under_the_same_number()
    {
        ClusterHarness cluster = Cluster(3);
        HarnessNode node = cluster.Add("node9", "10.0.0.9:7000");
        HarnessJoin first = node.Join(cluster.Nodes[0], completes: false);
        node.Files.PowerOff();
        node.Files.Crash(CrashMode.LoseAllUnsynced, 1);
        HarnessJoin second = node.Join(cluster.Nodes[1]);
        Assert.Equal(first.Answer!.Id, second.Answer!.Id);
        node.Start();
        RunUntilUp(cluster, node);
    }

    [Fact]
    public void What_does_not_fit_is_refused()
    {
        ClusterHarness cluster = Cluster(3);
        JoinRequest good = new()
        {
            Name = "node9",
            Address = "10.0.0.9:7000",
            Incarnation = 77,
            FormatLevel = FoundingSettings.NewestFormatLevel,
            Token = "none",
        };
        Assert.Equal(ErrorCode.Misconfigured, Ask(cluster, good with { Name = "node2" }).Problem!.Code);
        Assert.Equal(ErrorCode.Misconfigured, Ask(cluster, good with { Address = "10.0.0.2:7000" }).Problem!.Code);
        Assert.Equal(ErrorCode.Misconfigured, Ask(cluster, good with { Token = NodeJoining.DescribeToken("other") }).Problem!.Code);
        Assert.Equal(ErrorCode.UnsupportedFormat, Ask(cluster, good with { FormatLevel = 99 }).Problem!.Code);
        Assert.Equal(ErrorCode.InvalidArgument, Ask(cluster, good with { Name = "a b" }).Problem!.Code);
        Assert.Equal(ErrorCode.InvalidArgument, Ask(cluster, good with { Address = "nowhere" }).Problem!.Code);
        Assert.Equal(ErrorCode.InvalidArgument, Ask(cluster, good with { Weight = -1 }).Problem!.Code);
        Assert.Equal(ErrorCode.InvalidArgument, Ask(cluster, good with { Incarnation = 0 }).Problem!.Code);
        Assert.Equal(4UL, Ask(cluster, good).Answer!.Id.Value);
        Assert.Equal(4UL, Ask(cluster, good).Answer!.Id.Value);
        Assert.Equal(ErrorCode.Misconfigured, Ask(cluster, good with { Incarnation = 78 }).Problem!.Code);
        Assert.Equal(5UL, Ask(cluster, good with { Name = "node10", Address = "10.0.0.10:7000" }).Answer!.Id.Value);
    }

    [Fact]
    public void A_node_that_comes_back_with_an_empty_disk_is_not_taken_for_what_it_was()
    {
        ClusterHarness cluster = Cluster(3);
        HarnessNode node = Join(cluster, cluster.Nodes[0], "node9");
        RunUntilUp(cluster, node);
        node.Crash(CrashMode.LoseAllUnsynced);
        node.LoseDisk();
        Assert.Equal(ErrorCode.Misconfigured, node.Join(cluster.Nodes[1]).Problem!.Code);
    }

    [Fact]
    public void A_member_that_starts_at_another_address_is_found_by_all()
    {
        ClusterHarness cluster = Cluster(3);
        HarnessNode node = Join(cluster, cluster.Nodes[0], "node9");
        RunUntilUp(cluster, node);
        node.Crash(CrashMode.KeepAll);
        cluster.Joined["node9"] = "10.0.7.7:7000";
        node.Start();
        cluster.RunUntil(
            () => cluster.Nodes.All(n => n.Running.GetTopology().Nodes.Any(m => m.Id == node.Id && m.Address == "10.0.7.7:7000")),
            what: "all know the new address");

        // So does a member that the cluster was made of, by its list.
        cluster.Nodes[1].Crash(CrashMode.KeepAll);
        cluster.Members = [cluster.Members[0], cluster.Members[1] with { Address = "10.0.8.8:7000" }, cluster.Members[2]];
        cluster.Nodes[1].Start();
        cluster.RunUntil(
            () => cluster.Nodes.All(n => n.Running.GetTopology().Nodes.Any(m => m.Name == "node2" && m.Address == "10.0.8.8:7000")),
            what: "all know the new address");
    }

    [Fact]
    public void Who_has_left_is_not_heard_and_its_number_is_not_given_again()
    {
        ClusterHarness cluster = Cluster(3);
        HarnessNode node = Join(cluster, cluster.Nodes[0], "node9");
        RunUntilUp(cluster, node);
        cluster.Network.Isolate(node.Id, cluster.Nodes.Select(static n => n.Id));
        SetState(cluster, node.Id, [MemberState.Up], MemberState.Left);
        cluster.RunUntil(() => cluster.Nodes.Take(3).All(n => n.Running.GetTopology().Nodes.Count == 3), what: "all know that it left");
        cluster.Network.Heal();
        cluster.RunUntil(
            () => cluster.Nodes.Take(3).Any(static n => n.HasTold(nameof(INodeEvents.LeftMemberRefused), "node9")),
            what: "it was refused");
        cluster.RunUntil(() => !cluster.Nodes.Take(3).Any(n => IsInCatalog(n, node.Id)), what: "it does not get the catalog's log");
        cluster.Put(cluster.Nodes[0], "key", "value");

        // The name is free, the number is not.
        node.Crash(CrashMode.KeepAll);
        node.LoseDisk();
        cluster.Joined["node9"] = "10.0.0.10:7000";
        Assert.Equal(5UL, node.Join(cluster.Nodes[2]).Answer!.Id.Value);
        node.Start();
        RunUntilUp(cluster, node);
        SetState(cluster, new NodeId(5), [MemberState.Up], MemberState.Left);
        cluster.RunUntil(() => node.FatalMessage is not null, what: "it ends when it learns that it left");
    }

    [Fact]
    public void The_catalog_has_as_many_voters_as_it_should()
    {
        ClusterHarness cluster = Cluster(1);
        int[] wanted = [1, 2, 3, 3, 5, 5];
        for (int members = 2; members <= 6; members++)
        {
            HarnessNode node = Join(cluster, cluster.Nodes[members - 2], $"new{members}");
            RunUntilUp(cluster, node);
            int count = wanted[members - 1];
            cluster.RunUntil(
                () => cluster.Nodes.All(n => Catalog(n) is { IsJoint: false } c && c.Voters.Count == count
                    && c.Voters.Count + c.Learners.Count == members),
                10_000,
                $"{count} of {members} vote");
        }

        // Who is on its way out gives its vote away.
        NodeId going = Catalog(cluster.Nodes[0]).Voters[^1];
        SetState(cluster, going, [MemberState.Up], MemberState.Leaving);
        cluster.RunUntil(
            () => Catalog(cluster.Nodes[0]) is { IsJoint: false } c && !c.Voters.Contains(going) && c.Voters.Count == 5,
            10_000,
            "another one votes");
        cluster.Put(cluster.Nodes[0], "key", "value");
    }

    private static ClusterHarness Cluster(int founders)
    {
        var cluster = new ClusterHarness(founders);
        cluster.RunUntilLed();
        cluster.RunUntil(() => cluster.Nodes.All(static n => n.Running.ClusterId.Length > 0), what: "the cluster is made");
        return cluster;
    }

    private static HarnessNode Join(ClusterHarness cluster, HarnessNode via, string name)
    {
        HarnessNode node = cluster.Add(name, name == "node9" ? "10.0.0.9:7000" : $"10.0.2.{name[^1]}:7000");
        HarnessJoin join = node.Join(via);
        Assert.True(join.Answer is not null, join.Problem?.Message);
        node.Start();
        return node;
    }

    private static HarnessJoin Ask(ClusterHarness cluster, JoinRequest request)
    {
        var join = new HarnessJoin();
        HengeNode via = cluster.Nodes[cluster.Random.Next(3)].Running;
        via.Join(request, via.MonotonicMs + 10_000, (answer, problem) => (join.Answer, join.Problem) = (answer, problem));
        cluster.RunUntil(() => join.Answer is not null || join.Problem is not null, 12_000);
        return join;
    }

    private static void SetState(ClusterHarness cluster, NodeId id, MemberState[] from, MemberState to)
    {
        bool done = false;
        HengeNode via = cluster.Nodes[0].Running;
        via.SetMemberState(id, from, to, via.MonotonicMs + 10_000, problem =>
        {
            Assert.Null(problem);
            done = true;
        });
        cluster.RunUntil(() => done, 12_000, $"{id} is {to}");
    }

    private static void RunUntilUp(ClusterHarness cluster, HarnessNode joined) =>
        cluster.RunUntil(() => IsUp(cluster, joined), 10_000, $"{joined.Name} is up everywhere");

    private static bool IsUp(ClusterHarness cluster, HarnessNode joined) => cluster.Running.All(n =>
        n.Running.GetTopology().Nodes.Any(m => m.Id == joined.Id && m.State == MemberState.Up));

    private static ShardStatus Catalog(HarnessNode node) => node.Running.Parts.Hosted[ShardId.Catalog].Status;

    private static bool IsInCatalog(HarnessNode node, NodeId id) =>
        Catalog(node) is { Role: ReplicaRole.Leader } status && (status.Voters.Contains(id) || status.Learners.Contains(id));
}
