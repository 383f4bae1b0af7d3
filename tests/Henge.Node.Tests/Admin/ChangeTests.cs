using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Tests.Clusters;

namespace Henge.Node.Tests.Admin;

/// <summary>Drains, rebalances and settings, as an operator asks.</summary>
public sealed class ChangeTests
{
    [Fact]
    public void A_member_that_is_drained_leads_nothing_keeps_its_replicas_and_comes_back()
    {
        AdminHarness admin = new(3);
        admin.Cluster.RunUntil(() => admin.Led("node2") > 0, 20_000, "node2 leads something");
        Assert.Equal(MemberState.Draining, admin.Do(ClusterChangeKind.Drain, "node2", dryRun: true).State);
        Assert.Equal(MemberState.Up, admin.StateOf("node2"));
        ClusterChangeAnswer done = admin.Do(ClusterChangeKind.Drain, "node2");
        Assert.Equal((true, MemberState.Draining, 0), (done.IsDone, done.State, done.Copies));
        Assert.True(done.LeaderChanges > 0);
        admin.Cluster.RunUntil(() => admin.Led("node2") == 0, 30_000, "node2 leads nothing");
        Assert.Equal(4, admin.Replicas("node2"));
        Assert.True(admin.Do(ClusterChangeKind.Drain, "node2").IsDone);
        Assert.Equal(MemberState.Up, admin.Do(ClusterChangeKind.Undrain, "node2").State);
        admin.Cluster.RunUntil(() => admin.Led("node2") > 0, 30_000, "node2 leads again");
        Assert.True(admin.Do(ClusterChangeKind.Undrain, "node2").IsDone);
    }

    [Fact]
    public void A_drain_that_would_leave_shards_without_a_leader_is_refused()
    {
        AdminHarness admin = new(1, replicas: 1);
        Assert.Contains("may lead", admin.Refused(ClusterChangeKind.Drain, "node1").Message, StringComparison.Ordinal);
        Assert.Contains("not being drained", RefusedUndrain(admin), StringComparison.Ordinal);
        Assert.Equal(MemberState.Draining, admin.Do(ClusterChangeKind.Drain, "node1", force: true).State);
        Assert.Contains("only a member that is up", RefusedDrainOfLeaving(), StringComparison.Ordinal);

        static string RefusedDrainOfLeaving()
        {
            AdminHarness other = new(3);
            other.Do(ClusterChangeKind.Remove, "node2", force: true);
            return other.Refused(ClusterChangeKind.Drain, "node2").Message;
        }

        static string RefusedUndrain(AdminHarness _)
        {
            AdminHarness other = new(3);
            other.Do(ClusterChangeKind.Remove, "node2", force: true);
            return other.Refused(ClusterChangeKind.Undrain, "node2").Message;
        }
    }

    [Fact]
    public void More_replicas_are_made_when_there_shall_be_more_and_given_up_when_fewer()
    {
        AdminHarness admin = new(3, replicas: 1);
        Assert.Equal(4, Enumerable.Range(1, 3).Sum(i => admin.Replicas($"node{i}")));
        Assert.Equal(8, admin.Set("replication-factor", "3").Answer!.Copies);
        admin.Cluster.RunUntil(
            () => Enumerable.Range(0, 4).All(s => admin.VotersOf(s).Count == 3), 60_000, "three replicas of each shard");
        Assert.True(admin.Set("replication-factor", "3").Answer!.IsDone);
        Assert.Equal(4, admin.Set("replication-factor", "2").Answer!.Removals);
        admin.Cluster.RunUntil(
            () => Enumerable.Range(0, 4).All(s => admin.VotersOf(s).Count == 2), 60_000, "two replicas of each shard");

        // More than there are nodes: said, and done as far as it goes.
        Assert.Contains(admin.Set("replication-factor", "5").Answer!.Problems, static p => p.Kind == "TooFewNodes");
        admin.Cluster.RunUntil(
            () => Enumerable.Range(0, 4).All(s => admin.VotersOf(s).Count == 3), 60_000, "as many replicas as there are nodes");
    }

    [Fact]
    public void Settings_are_checked_kept_and_set_back()
    {
        AdminHarness admin = new(1, replicas: 1);
        Assert.Equal((600_000L, false), Read("replace-after"));

        // Not what a single node could have when it founded the cluster.
        Assert.True(admin.Set("replication-factor", "2").Answer!.IsDone);
        admin.Cluster.RunUntil(() => Read("replication-factor") == (2L, true), what: "it is set");
        Assert.True(admin.Set("replication-factor", "").Answer!.IsDone);
        admin.Cluster.RunUntil(() => Read("replication-factor") == (3L, true), what: "it is the default");
        Assert.Equal(3, admin.Cluster.Nodes[0].Running.GetPlacement().Settings.First(static s => s.Name == "replication-factor").Default);
        Assert.True(admin.Set("replace-after", "30000").Answer!.IsDone);
        admin.Cluster.RunUntil(() => Read("replace-after") == (30_000L, true), what: "it is set");
        Assert.True(admin.Set("replace-after", "").Answer!.IsDone);
        admin.Cluster.RunUntil(() => Read("replace-after") == (600_000L, false), what: "it is as before");
        foreach ((string name, string value) in (ReadOnlySpan<(string, string)>)[
            ("replication-factor", "0"), ("replication-factor", "16"), ("replication-factor", "x"), ("replace-after", "-1"),
            ("rebalance", "3"), ("nothing", "1"), ("", "1"),
        ])
        {
            Assert.Equal(ErrorCode.InvalidArgument, admin.Set(name, value).Problem!.Code);
        }

        (long, bool) Read(string name)
        {
            ClusterSetting setting = admin.Node("node1").Running.GetPlacement().Settings.Single(s => s.Name == name);
            return (setting.Value, setting.IsSet);
        }
    }

    [Fact]
    public void A_rebalance_is_made_once_and_can_be_stopped()
    {
        AdminHarness admin = new(3);
        admin.Join("node4");
        admin.RunUntilSettled();
        Assert.True(admin.Do(ClusterChangeKind.Rebalance, dryRun: true) is { IsDone: false });
        ClusterChangeAnswer done = admin.Do(ClusterChangeKind.Rebalance);
        Assert.True(done.IsDone);
        admin.RunUntilSettled();
        ClusterChangeAnswer again = admin.Do(ClusterChangeKind.Rebalance);
        Assert.Equal((true, 0, 0), (again.IsDone, again.Copies, again.Removals));
        Assert.True(admin.Do(ClusterChangeKind.CancelMoves).IsDone);

        // A plan of which nothing has begun yet is given up as a whole.
        admin.Set("replication-factor", "4");
        Assert.True(admin.Do(ClusterChangeKind.CancelMoves).IsDone);
        admin.Cluster.RunUntil(
            () => Enumerable.Range(0, 4).All(s => admin.VotersOf(s).Count == 4), 60_000, "what a setting asks for is planned anew");
    }

    [Fact]
    public void What_is_where_and_where_it_goes_is_known_to_all()
    {
        AdminHarness admin = new(3);
        HarnessNode joined = admin.Join("node4");
        bool sawMove = false;
        admin.Cluster.RunUntil(
            () =>
            {
                sawMove |= admin.Cluster.Nodes.Any(static n => n.Running.GetPlacement().Moves.Count > 0);
                return admin.Replicas("node4") == 3;
            },
            60_000,
            "node4 has its share");
        Assert.True(sawMove, "no leader told of a move");
        admin.RunUntilSettled();
        PlacementStatus status = joined.Running.GetPlacement();
        Assert.Equal((true, 3, 4, 4), (status.IsKnown, status.ReplicationFactor, status.Members.Count, status.Shards.Count));
        Assert.All(status.Shards, static s => Assert.Equal((3, 3), (s.Planned.Count, s.Followed.Count)));
        Assert.Equal(3, status.Shards.Count(s => s.Planned.Contains(joined.Id)));
        Assert.Contains(status.Planner, status.CatalogVoters);
    }
}
