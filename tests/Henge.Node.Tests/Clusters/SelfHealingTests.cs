using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Testing.Files;

namespace Henge.Node.Tests.Clusters;

/// <summary>What a cluster does by itself when members are lost, come back, or go.</summary>
public sealed class SelfHealingTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_member_that_is_down_for_long_is_replaced_everywhere(bool leadsCatalog)
    {
        var cluster = new ElasticCluster(5);
        cluster.Fill(20);
        HarnessNode lost = leadsCatalog
            ? cluster.CatalogLeader
            : cluster.Harness.Nodes.First(n => n != cluster.CatalogLeader && cluster.Carried(n.Id) > 0);
        lost.Crash(CrashMode.LoseAllUnsynced);

        // Not at once: it may come back.
        cluster.Harness.Run(3_000);
        Assert.True(cluster.Carried(lost.Id) > 0);
        cluster.Harness.RunUntil(() => cluster.Carried(lost.Id) == 0 && cluster.IsAtRest(3), 20_000, "its replicas are elsewhere");
        cluster.AssertFilled(20);

        // With four members left and one lost, nobody could take its vote of the catalog; with one more there is somebody.
        Assert.Contains(lost.Id, cluster.Catalog.Voters);
        cluster.Join("node9", "10.0.0.9:7000");
        cluster.Harness.RunUntil(
            () => cluster.Catalog is { IsJoint: false } c && c.Voters.Count == 5 && !c.Voters.Contains(lost.Id),
            20_000,
            "another one votes in the catalog");
        Assert.Equal(MemberState.Up, cluster.StateOf(lost.Id));

        // When it comes back it is welcome: what it had it drops, and it takes its share.
        lost.Start();
        cluster.Harness.RunUntil(
            () => cluster.IsAtRest(3) && cluster.Carried(lost.Id) >= 2 && cluster.Keeper.Problems.Count == 0,
            20_000,
            "it has its share again");
        for (uint shard = 0; shard < cluster.Shards; shard++)
        {
            uint s = shard;
            cluster.Harness.RunUntil(() => lost.Hosts(s) == cluster.VotersOf(s).Contains(lost.Id), 10_000, $"shard {s} is as it should be");
        }

        Assert.DoesNotContain(lost.Id, cluster.Catalog.Voters);
        cluster.AssertFilled(20);
    }

    [Fact]
    public void A_member_that_comes_back_in_time_keeps_what_it_has()
    {
        var cluster = new ElasticCluster(5);
        IReadOnlyList<NodeId>[] before = [.. Enumerable.Range(0, cluster.Shards).Select(s => cluster.VotersOf((uint)s))];
        HarnessNode down = cluster.Harness.Nodes.First(n => n != cluster.CatalogLeader && cluster.Carried(n.Id) > 0);
        for (int i = 0; i < 3; i++)
        {
            down.Crash(CrashMode.LoseAllUnsynced);
            cluster.Harness.Run(3_000);
            down.Start();
            cluster.Harness.Run(2_000);
        }

        Assert.All(Enumerable.Range(0, cluster.Shards), s => Assert.Equal(before[s], cluster.VotersOf((uint)s)));
        Assert.Equal(5, cluster.Catalog.Voters.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_member_that_leaves_hands_all_over_and_has_left_then(bool isDown)
    {
        var cluster = new ElasticCluster(5);
        cluster.Fill(20);
        HarnessNode going = isDown ? cluster.Harness.Nodes.First(n => n != cluster.CatalogLeader) : cluster.CatalogLeader;
        if (isDown)
        {
            going.Crash(CrashMode.LoseAllUnsynced);
        }

        cluster.SetState(going, MemberState.Leaving);
        bool IsOut() => Enumerable.Range(0, cluster.Shards)
            .All(s => cluster.Harness.LeaderOf((uint)s)?.Replica((uint)s).Group.Membership.IsMember(going.Id) == false);
        bool wasOutAtOnce = true;
        cluster.Harness.RunUntil(
            () =>
            {
                bool hasLeft = cluster.Harness.LeaderOf(ShardId.Catalog.Value) is not null
                    && cluster.StateOf(going.Id) == MemberState.Left;
                wasOutAtOnce &= !hasLeft || IsOut();
                return hasLeft;
            },
            30_000,
            "it has left");
        Assert.True(wasOutAtOnce);
        Assert.DoesNotContain(going.Id, cluster.Catalog.Voters);
        cluster.Harness.RunUntil(() => !cluster.Catalog.Learners.Contains(going.Id), 5_000, "the catalog lets it go");
        if (!isDown)
        {
            cluster.Harness.RunUntil(() => going.FatalMessage is not null, 5_000, "it ends when it learns that");
            going.Crash();
        }

        cluster.AssertFilled(20);
    }

    [Fact]
    public void A_member_without_a_place_for_its_replicas_does_not_leave()
    {
        var cluster = new ElasticCluster(3);
        HarnessNode going = cluster.Harness.Nodes.First(n => n != cluster.CatalogLeader);
        cluster.SetState(going, MemberState.Leaving);
        cluster.Harness.Run(5_000);
        Assert.Equal(MemberState.Leaving, cluster.StateOf(going.Id));
        Assert.NotEmpty(cluster.Keeper.Problems);
        Assert.Equal(cluster.Shards, cluster.Carried(going.Id));
        cluster.Join("node9", "10.0.0.9:7000");
        cluster.Harness.RunUntil(() => cluster.StateOf(going.Id) == MemberState.Left, 30_000, "it has left");
    }

    [Fact]
    public void A_machine_with_an_empty_disk_is_a_new_member_and_the_old_one_is_fenced()
    {
        var cluster = new ElasticCluster(4);
        cluster.Fill(20);
        HarnessNode machine = cluster.Join("node9", "10.0.0.9:7000");
        cluster.Harness.RunUntil(() => cluster.Carried(machine.Id) > 0 && cluster.IsAtRest(3), 20_000, "it has its share");
        NodeId old = machine.Id;
        machine.Crash(CrashMode.LoseAllUnsynced);
        HarnessNode ghost = cluster.Harness.Add("ghost", "10.0.0.9:7001");
        ghost.Share(machine);
        machine.LoseDisk();

        // It is not taken for what it was.
        Assert.Equal(ErrorCode.Misconfigured, machine.Join(cluster.Harness.Running.First()).Problem!.Code);
        cluster.SetState(machine, MemberState.Leaving);
        cluster.Harness.RunUntil(() => cluster.StateOf(old) == MemberState.Left, 30_000, "the old one has left");
        HarnessJoin join = machine.Join(cluster.Harness.Running.First());
        Assert.NotEqual(old, join.Answer!.Id);
        machine.Start();
        cluster.Harness.RunUntil(() => cluster.Carried(machine.Id) > 0 && cluster.IsAtRest(3), 20_000, "the new one has its share");
        Assert.Equal(0, cluster.Carried(old));

        // The old disk starts once more somewhere: it is heard by nobody, nothing of it counts, and it is told so and ends.
        cluster.Harness.Joined["node9"] = "10.0.0.9:7001";
        machine.Crash(CrashMode.LoseAllUnsynced);
        (machine.Id, NodeId young) = (old, machine.Id);
        machine.Share(ghost);
        machine.Start();
        HarnessOperation put = HarnessOperation.Put("key0", "of the old disk");
        machine.Running.Submit(put);
        cluster.Harness.RunUntil(() => machine.FatalMessage is not null, what: "it ends");
        Assert.Contains("has left its cluster", machine.FatalMessage, StringComparison.Ordinal);
        cluster.Harness.Run(3_000);
        Assert.NotEqual(young, old);
        Assert.All(machine.Running.Parts.Hosted.All, static r => Assert.True(r.Group.Leader.IsNone));
        Assert.True(!put.IsDone || put.Error != ErrorCode.None, put.ToString());
        machine.Crash(CrashMode.KeepAll);
        cluster.AssertFilled(20);
    }

    [Fact]
    public void A_member_that_is_drained_leads_nothing_and_keeps_its_replicas()
    {
        var cluster = new ElasticCluster(6);
        HarnessNode drained = cluster.CatalogLeader;
        int carried = cluster.Carried(drained.Id);
        cluster.SetState(drained, MemberState.Draining);
        cluster.Harness.RunUntil(
            () => cluster.Led(drained.Id) == 0 && cluster.Harness.LeaderOf(ShardId.Catalog.Value) is { } l && l != drained,
            20_000,
            "it leads nothing");
        cluster.RunUntilPlaced();
        Assert.Equal(carried, cluster.Carried(drained.Id));
        cluster.Harness.RunUntil(() => !cluster.Catalog.Voters.Contains(drained.Id), 10_000, "another one votes in the catalog");
        cluster.SetState(drained, MemberState.Up);
        cluster.RunUntilPlaced();
        Assert.Equal(carried, cluster.Carried(drained.Id));
    }

    [Fact]
    public void Nobody_is_taken_for_down_while_nothing_happens_and_who_is_gone_is_missed()
    {
        var cluster = new ElasticCluster(4, replaceAfterMs: 60_000);
        ulong Generation() => cluster.CatalogLeader.Running.Parts.Placements.Read()!.Goal.Generation;
        ulong before = Generation();
        cluster.Harness.Run(60_000);
        Assert.Equal(before, Generation());
        HarnessNode gone = cluster.Harness.Nodes.First(n => n != cluster.CatalogLeader && cluster.Led(n.Id) > 0);
        gone.Crash(CrashMode.LoseAllUnsynced);
        bool Leads() => Enumerable.Range(0, cluster.Shards).Any(s =>
            cluster.CatalogLeader.Running.Parts.Placements.Read()!.Followed.ReplicasOf(new ShardId((uint)s))[0] == gone.Id);
        cluster.Harness.RunUntil(() => !Leads(), 5_000, "others are to lead what it led");
        cluster.Harness.Run(20_000);
        gone.Start();
        cluster.Harness.RunUntil(Leads, 10_000, "it leads again");
    }

    [Fact]
    public void While_a_member_is_down_and_not_given_up_a_new_one_waits_for_its_share_and_that_is_told()
    {
        var cluster = new ElasticCluster(4, replaceAfterMs: 30_000);
        HarnessNode down = cluster.Harness.Nodes.First(n => n != cluster.CatalogLeader && cluster.Carried(n.Id) > 0);
        down.Crash(CrashMode.LoseAllUnsynced);
        cluster.Harness.Run(3_000);
        HarnessNode young = cluster.Join("node9", "10.0.0.9:7000");
        cluster.Harness.Run(10_000);
        Assert.Equal(0, cluster.Carried(young.Id));
        PlacementProblem paused = Assert.Single(
            cluster.CatalogLeader.Running.GetPlacement().Problems,
            static p => p.Kind == "Paused");
        Assert.Equal(down.Id, Assert.Single(paused.Members));
        Assert.NotEmpty(paused.Shards);
        down.Start();
        cluster.Harness.RunUntil(() => cluster.Carried(young.Id) > 0, 20_000, "it gets its share");
        cluster.RunUntilPlaced();
        Assert.Empty(cluster.CatalogLeader.Running.GetPlacement().Problems);
    }
}
