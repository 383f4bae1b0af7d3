using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Tests.Clusters;
using Henge.Raft;
using Henge.Storage.Files;
using Henge.Testing.Files;

namespace Henge.Node.Tests.Recovery;

/// <summary>What nodes that are left do when a majority is lost for ever.</summary>
public sealed class RecoveryTests
{
    [Fact]
    public void One_of_three_goes_on_with_what_was_acknowledged_and_hears_the_others_no_more()
    {
        ClusterHarness cluster = Make(out HarnessNode left, out HarnessNode[] lost);
        cluster.Put(left, "a", "kept");
        lost[0].Crash(CrashMode.KeepAll);
        lost[1].Crash(CrashMode.KeepAll);
        RecoveryOffer offer = Offer(cluster, left);
        Assert.False(offer.IsRefused);
        Assert.False(offer.LosesNothing);
        Assert.Equal(lost.Select(static n => n.Name).Order(StringComparer.Ordinal), offer.Lost.Select(static l => l.Name));
        Assert.Null(Adopt(cluster, left, offer.Plan, RecoveryPhase.Fence));
        Assert.True(left.HasTold(nameof(INodeEvents.RecoveryBegun)));
        Assert.Null(Adopt(cluster, left, offer.Plan, RecoveryPhase.Catalog));
        Assert.Null(Adopt(cluster, left, offer.Plan, RecoveryPhase.Shards));
        Assert.True(left.HasTold(nameof(INodeEvents.ShardRecovered)));
        cluster.RunUntil(() => cluster.LeaderOf(0) == left, 10_000, "it leads alone");
        Assert.Equal("kept", cluster.Get(left, "a"));
        cluster.Put(left, "a", "new");

        // The fence holds after a restart; those who come back learn that they have left.
        left.Crash(CrashMode.LoseAllUnsynced);
        left.Start();
        cluster.RunUntil(() => cluster.LeaderOf(0) == left, 10_000, "it leads again");
        Assert.Equal("new", cluster.Get(left, "a"));
        Assert.All(lost, node => Assert.True(left.Running.Parts.Context.Members.HasLeft(node.Id)));
        lost[0].Start();
        cluster.Run(2_000);
        Assert.Equal("new", cluster.Get(left, "a"));
        Assert.Single(left.Replica(0).Group.Membership.Members);
    }

    /// <summary>The simulator's seed 1002754: it began again, without anything, and the plan could never be ended.</summary>
    [Fact]
    public void What_has_gone_on_and_moved_away_since_does_not_begin_again_when_the_plan_is_said_again()
    {
        ClusterHarness cluster = Make(out HarnessNode left, out HarnessNode[] lost);
        cluster.Put(left, "a", "kept");
        lost[0].Crash(CrashMode.KeepAll);
        lost[1].Crash(CrashMode.KeepAll);
        RecoveryOffer offer = Offer(cluster, left);
        foreach (RecoveryPhase phase in Enum.GetValues<RecoveryPhase>())
        {
            Assert.Null(Adopt(cluster, left, offer.Plan, phase));
        }

        cluster.RunUntil(() => cluster.LeaderOf(0) == left, 10_000, "it leads alone");
        HarnessNode fourth = cluster.Add("node4", "10.0.1.4:7000");
        HarnessJoin join = fourth.Join(left);
        Assert.True(join.Answer is not null, join.Problem?.Message);
        fourth.Start();
        cluster.RunUntil(
            () => left.Running.GetPlacement().Members.Any(m => m.Id == fourth.Id && m.State == MemberState.Up),
            10_000,
            "it is up");
        Change(cluster, [left.Id], [fourth.Id]);
        Change(cluster, [left.Id, fourth.Id], []);
        Change(cluster, [fourth.Id], []);
        cluster.RunUntil(() => left.Running.Parts.Hosted.MachineOf(new ShardId(0)) is null, 30_000, "the shard has left the first node");
        left.Crash(CrashMode.LoseAllUnsynced);
        left.Start();
        cluster.Run(500);
        Assert.Null(Adopt(cluster, left, offer.Plan, RecoveryPhase.Shards)?.Message);
        cluster.Run(1_000);
        Assert.Null(left.Running.Parts.Hosted.MachineOf(new ShardId(0)));
        Assert.Equal("kept", cluster.Get(fourth, "a"));
    }

    [Fact]
    public void A_plan_that_was_begun_is_found_again_and_another_one_s_is_refused()
    {
        ClusterHarness cluster = Make(out HarnessNode left, out HarnessNode[] lost);
        lost[0].Crash(CrashMode.KeepAll);
        lost[1].Crash(CrashMode.KeepAll);
        RecoveryOffer offer = Offer(cluster, left);
        Assert.Null(left.Running.Recovery.Resume([Report(cluster, left)], offer.PlanId));
        Assert.Null(Adopt(cluster, left, offer.Plan, RecoveryPhase.Fence));
        left.Crash(CrashMode.LoseAllUnsynced);
        left.Start();
        cluster.Run(100);
        Assert.Equal(offer.Plan, left.Running.Recovery.Resume([Report(cluster, left)], offer.PlanId)?.Plan);
        Assert.Null(left.Running.Recovery.Resume([Report(cluster, left)], "000000000000"));

        // Not readable, of another cluster, or for another directory.
        Assert.Contains("cannot be read", Adopt(cluster, left, offer.Plan + "x", RecoveryPhase.Fence)!.Message, StringComparison.Ordinal);
        string foreign = offer.Plan.Replace(offer.Plan.Split('\n')[1], "cluster made-0000000000000000", StringComparison.Ordinal);
        Assert.Contains("belongs to", Adopt(cluster, left, foreign, RecoveryPhase.Fence)!.Message, StringComparison.Ordinal);
        string others = offer.Plan.Replace($"survivor {left.Id.Value} ", "survivor 9 ", StringComparison.Ordinal);
        Assert.Contains("has no part in", Adopt(cluster, left, others, RecoveryPhase.Fence)!.Message, StringComparison.Ordinal);
        Assert.Throws<HengeException>(() => left.Running.Recovery.Offer(["nonsense"], []));
        Assert.Throws<HengeException>(() => left.Running.Recovery.Offer([Report(cluster, left)], [99]));
    }

    [Fact]
    public void Where_there_is_a_majority_nothing_is_offered()
    {
        ClusterHarness cluster = Make(out HarnessNode left, out HarnessNode[] lost);
        lost[0].Crash(CrashMode.KeepAll);
        RecoveryOffer offer = left.Running.Recovery.Offer([Report(cluster, left), Report(cluster, lost[1])], []);
        Assert.True(offer.IsRefused);
        Assert.Contains("nothing to recover", offer.Problems[0], StringComparison.Ordinal);
    }

    [Fact]
    public void A_damaged_list_of_those_who_were_given_up_is_refused_at_the_start()
    {
        ClusterHarness cluster = Make(out HarnessNode left, out HarnessNode[] lost);
        lost[0].Crash(CrashMode.KeepAll);
        lost[1].Crash(CrashMode.KeepAll);
        Assert.Null(Adopt(cluster, left, Offer(cluster, left).Plan, RecoveryPhase.Fence));
        left.Stop();
        using (IFile file = left.Files.Open("/data/RECOVERY", FileOpenMode.ReadWrite))
        {
            file.Write(20, "x"u8);
        }

        Assert.Equal(ErrorCode.Corruption, Assert.Throws<HengeException>(left.Start).Code);
    }

    private static ClusterHarness Make(out HarnessNode left, out HarnessNode[] lost)
    {
        var cluster = new ClusterHarness(3, configure: static o => o with { BalanceIntervalMs = 0, MovesShards = false });
        cluster.RunUntilLed();
        cluster.RunUntil(() => cluster.Nodes.All(static n => n.Running.ClusterId.Length > 0), 10_000, "all know their cluster");
        cluster.Run(500);
        left = cluster.Nodes[1];
        lost = [cluster.Nodes[0], cluster.Nodes[2]];
        return cluster;
    }

    private static void Change(ClusterHarness cluster, NodeId[] voters, NodeId[] learners)
    {
        MembershipStatus? status = null;
        cluster.RunUntil(
            () =>
            {
                if (status != MembershipStatus.Accepted)
                {
                    cluster.LeaderOf(0)?.Running.ChangeMembership(new ShardId(0), voters, learners, s => status = s);
                }

                return status == MembershipStatus.Accepted
                    && cluster.LeaderOf(0)?.Replica(0).Group.Membership is { IsJoint: false } now
                    && now.Voters.SequenceEqual(voters) && now.Learners.SequenceEqual(learners);
            },
            30_000,
            $"voters {string.Join(' ', voters)}, learners {string.Join(' ', learners)}");
    }

    private static RecoveryOffer Offer(ClusterHarness cluster, HarnessNode node)
    {
        cluster.Run(2_000);
        return node.Running.Recovery.Offer([Report(cluster, node)], []);
    }

    private static string Report(ClusterHarness cluster, HarnessNode node)
    {
        string? report = null;
        node.Running.Recovery.Report(r => report = r);
        cluster.RunUntil(() => report is not null, 1_000, "it says what it has");
        return report!;
    }

    private static HengeException? Adopt(ClusterHarness cluster, HarnessNode node, string plan, RecoveryPhase phase)
    {
        HengeException? problem = null;
        bool ended = false;
        node.Running.Recovery.Adopt(plan, phase, node.Running.MonotonicMs + 5_000, p => (problem, ended) = (p, true));
        cluster.RunUntil(() => ended, 6_000, "it has done its part, or says why not");
        return problem;
    }
}
