using System.Buffers;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Catalog;
using Henge.Node.StateMachine;
using Henge.Node.Tests.Clusters;
using Henge.Testing.Files;

namespace Henge.Node.Tests.Admin;

/// <summary>Members that leave, are kept, and are replaced, as an operator asks.</summary>
public sealed class RemovalTests
{
    [Fact]
    public void A_member_leaves_after_others_have_what_it_had()
    {
        AdminHarness admin = new(4);
        admin.Cluster.Put(admin.Cluster.Nodes[0], "key", "value");
        int carried = admin.Replicas("node2");
        Assert.True(carried > 0);
        ClusterChangeAnswer dry = admin.Do(ClusterChangeKind.Remove, "node2", dryRun: true);
        Assert.Equal((false, "", MemberState.Leaving, carried, carried), (dry.IsDone, dry.Refusal, dry.State, dry.Copies, dry.Removals));
        Assert.Equal((carried, 0), dry.Loads.Where(l => l.Id.Value == 2).Select(static l => (l.Before, l.After)).Single());
        Assert.Equal(MemberState.Up, admin.StateOf("node2"));

        ClusterChangeAnswer done = admin.Do(ClusterChangeKind.Remove, "node2");
        Assert.Equal((true, MemberState.Leaving, carried), (done.IsDone, done.State, done.Copies));
        Assert.Equal(MemberState.Leaving, admin.Do(ClusterChangeKind.Remove, "node2").State);
        admin.RunUntilState("node2", MemberState.Left, 60_000);
        Assert.Equal(0, admin.Replicas("node2"));
        Assert.Equal("value", admin.Cluster.Get(admin.Node("node3"), "key"));
        Assert.Equal(MemberState.Left, admin.Do(ClusterChangeKind.Remove, "node2").State);

        // It learns that from the catalog or when it says hello, and ends.
        admin.Cluster.RunUntil(() => admin.Node("node2").FatalMessage is not null, what: "node2 ends");
        Assert.Contains("has left its cluster", admin.Node("node2").FatalMessage, StringComparison.Ordinal);
    }

    [Fact]
    public void A_founder_that_never_came_up_is_removed_and_its_name_is_free()
    {
        AdminHarness admin = new(4, isLastAbsent: true);
        admin.Cluster.Put(admin.Cluster.Nodes[0], "key", "value");
        Assert.Contains("never been up", admin.Refused(ClusterChangeKind.Drain, "node4").Message, StringComparison.Ordinal);
        Assert.True(admin.Do(ClusterChangeKind.Remove, "node4").IsDone);
        admin.RunUntilState("node4", MemberState.Left, 60_000);
        Assert.Equal(0, admin.Replicas("node4"));

        // Whoever comes up in its place now is not taken for it.
        HarnessNode late = admin.Cluster.Nodes[3];
        late.Start();
        admin.Cluster.RunUntil(() => late.FatalMessage is not null, what: "the founder that is late ends");
        Assert.Contains("node4", late.FatalMessage, StringComparison.Ordinal);
        HarnessNode next = admin.Join("node4");
        Assert.Equal(5UL, next.Id.Value);
        Assert.Equal("value", admin.Cluster.Get(next, "key"));
    }

    /// <summary>The simulator's seed 910096: its removal was tried again at each tick, for ever, and the catalog's log filled up.</summary>
    [Fact]
    public void A_founder_that_was_lost_between_its_directory_and_its_entry_is_removed()
    {
        AdminHarness admin = new(4, isLastAbsent: true);
        admin.Cluster.Put(admin.Cluster.Nodes[0], "key", "value");
        bool isSaid = false;
        admin.Cluster.Running.First().Running.Parts.Members.Changes.Add(
            static view => view.IncarnationOfFounder("node4") != 0 ? CatalogStep.Done : MemberChanges.Write(view, static txn =>
            {
                var command = new ArrayBufferWriter<byte>();
                CommandEncoder.Put(command, "node/node4"u8, "00000000000000aa"u8, new PutOptions());
                txn.Then.Add(command.WrittenSpan);
            }),
            admin.Cluster.Running.First().Running.MonotonicMs + 10_000,
            problem => isSaid = problem is null);
        admin.Cluster.RunUntil(() => isSaid, what: "node4 has said with which directory it runs");
        Assert.True(admin.Do(ClusterChangeKind.Remove, "node4").IsDone);
        admin.RunUntilState("node4", MemberState.Left, 60_000);
        Assert.Equal(0xaaUL, admin.Cluster.Running.First().Running.Parts.Members.View!.Of(new NodeId(4))!.Incarnation);
    }

    /// <summary>A condition that never holds is no reason to write to the catalog's log at each tick.</summary>
    [Fact]
    public void A_change_whose_conditions_never_hold_is_tried_less_and_less_often()
    {
        AdminHarness admin = new(3);
        HengeNode node = admin.Cluster.Running.First().Running;
        int steps = 0;
        HengeException? problem = null;
        LogIndex before = node.Parts.Hosted[ShardId.Catalog].Group.LastIndex;
        node.Parts.Members.Changes.Add(
            _ =>
            {
                steps++;
                var txn = new TxnBuilder();
                txn.CompareExistence("node/node1"u8, exists: false);
                return CatalogStep.Write(txn);
            },
            node.MonotonicMs + 5_000,
            p => problem = p);
        admin.Cluster.RunUntil(() => problem is not null, 10_000, "the change is given up");
        Assert.Equal(ErrorCode.Unavailable, problem!.Code);
        Assert.True(steps > 10);
        Assert.InRange(node.Parts.Hosted[ShardId.Catalog].Group.LastIndex.Value - before.Value, 5UL, 20UL);
    }

    [Fact]
    public void A_member_whose_replicas_have_no_other_place_is_refused_with_the_reason()
    {
        AdminHarness admin = new(3);
        Assert.Contains("keeps its replica", admin.Refused(ClusterChangeKind.Remove, "node2").Message, StringComparison.Ordinal);
        ClusterChangeAnswer dry = admin.Do(ClusterChangeKind.Remove, "node2", dryRun: true);
        Assert.Contains("keeps its replica", dry.Refusal, StringComparison.Ordinal);
        Assert.Contains(dry.Problems, static p => p.Kind == "NoPlaceElsewhere" && p.Shards.Count == 4 && p.Members[0].Value == 2);
        Assert.Equal(MemberState.Up, admin.StateOf("node2"));

        // It stays until there is room, and gives everything away then.
        Assert.Equal(MemberState.Leaving, admin.Do(ClusterChangeKind.Remove, "node2", force: true).State);
        admin.Cluster.Run(1_000);
        Assert.Equal(4, admin.Replicas("node2"));
        admin.Join("node9");
        admin.Cluster.RunUntil(() => admin.Replicas("node2") == 0 && admin.Replicas("node9") == 4, 60_000, "node9 has it all");
    }

    /// <summary>The simulator's seed 1147: each of the two removals was harmless, and the second left the first no place.</summary>
    [Fact]
    public void The_only_place_that_another_removal_has_is_refused_as_well()
    {
        AdminHarness admin = new(4, shards: 1);
        string empty = Enumerable.Range(1, 4).Select(static i => $"node{i}").Single(name => admin.Replicas(name) == 0);
        string full = empty == "node2" ? "node3" : "node2";
        List<string> answers = [];
        foreach (string name in (string[])[full, empty])
        {
            HarnessNode via = admin.Node(name);
            via.Running.Change(
                new ClusterChange { Kind = ClusterChangeKind.Remove, Node = name },
                via.Running.MonotonicMs + 10_000,
                (_, problem) => answers.Add(problem?.Message ?? ""));
        }

        admin.Cluster.RunUntil(() => answers.Count == 2, 12_000, "both are answered");
        Assert.Single(answers, "");
        Assert.Contains("keeps its replica", answers.Single(static a => a.Length > 0), StringComparison.Ordinal);
    }

    [Fact]
    public void Who_is_unknown_or_last_is_refused()
    {
        AdminHarness admin = new(1, replicas: 1);
        Assert.Contains("node1", admin.Refused(ClusterChangeKind.Remove, "nobody").Message, StringComparison.Ordinal);
        Assert.Contains("last member", admin.Refused(ClusterChangeKind.Remove, "node1").Message, StringComparison.Ordinal);
        Assert.Contains("nobody", admin.Refused(ClusterChangeKind.Drain, "nobody").Message, StringComparison.Ordinal);
        Assert.Equal(
            ErrorCode.InvalidArgument,
            admin.Ask(new ClusterChange { Kind = (ClusterChangeKind)99 }).Problem!.Code);
    }

    [Fact]
    public void Several_members_that_leave_at_once_through_different_nodes_are_all_gone()
    {
        AdminHarness admin = new(6);
        int answers = 0;
        foreach (string name in (string[])["node2", "node4", "node5"])
        {
            HarnessNode via = admin.Node(name == "node2" ? "node2" : "node6");
            via.Running.Change(
                new ClusterChange { Kind = ClusterChangeKind.Remove, Node = name },
                via.Running.MonotonicMs + 10_000,
                (answer, problem) => answers += answer is { IsDone: true } && problem is null ? 1 : 100);
        }

        admin.Cluster.RunUntil(() => answers == 3, 12_000, "all are leaving");
        admin.Cluster.RunUntil(
            () => admin.Replicas("node2") + admin.Replicas("node4") + admin.Replicas("node5") == 0,
            60_000,
            "nothing is left on the three");
        admin.RunUntilState("node2", MemberState.Left);
        admin.RunUntilState("node4", MemberState.Left);
        admin.RunUntilState("node5", MemberState.Left);
        Assert.Equal(12, admin.Replicas("node1") + admin.Replicas("node3") + admin.Replicas("node6"));

        // Three of three replicas are needed now.
        Assert.Contains("keeps its replica", admin.Refused(ClusterChangeKind.Remove, "node6").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_removal_that_is_cancelled_leaves_the_member_what_had_not_begun_to_go()
    {
        AdminHarness admin = new(4);
        int carried = admin.Replicas("node2");
        admin.Do(ClusterChangeKind.Remove, "node2");
        ClusterChangeAnswer cancelled = admin.Do(ClusterChangeKind.Cancel, "node2");
        Assert.Equal((true, MemberState.Up), (cancelled.IsDone, cancelled.State));
        admin.RunUntilState("node2", MemberState.Up);
        admin.RunUntilSettled();
        Assert.True(admin.Replicas("node2") > 0, "it lost everything");
        Assert.InRange(admin.Replicas("node2"), 1, carried);
        Assert.True(admin.Do(ClusterChangeKind.Cancel, "node2").IsDone);
        Assert.Equal(12, Enumerable.Range(1, 4).Sum(i => admin.Replicas($"node{i}")));
    }

    [Fact]
    public void A_member_that_was_told_to_leave_before_it_was_up_is_joining_again_when_that_is_cancelled()
    {
        AdminHarness admin = new(3);
        HarnessNode late = admin.Cluster.Add("node4", "10.0.1.3:7000");
        Assert.NotNull(late.Join(admin.Cluster.Running.First()).Answer);
        admin.RunUntilState("node4", MemberState.Joining);
        ClusterChangeAnswer? cancelled = null;
        HengeNode asked = admin.Cluster.Running.First().Running;
        ClusterChange change = new() { Kind = ClusterChangeKind.Remove, Node = "node4", Unreachable = [late.Id] };

        // In one go: it has nothing that would keep it from having left a moment later.
        asked.Change(change, asked.MonotonicMs + 10_000, (_, _) => asked.Change(
            change with { Kind = ClusterChangeKind.Cancel }, asked.MonotonicMs + 10_000, (answer, _) => cancelled = answer));
        admin.Cluster.RunUntil(() => cancelled is not null, 12_000, "both were answered");
        Assert.Equal((true, MemberState.Joining), (cancelled!.IsDone, cancelled.State));
        admin.Cluster.Run(2_000);
        Assert.Equal(MemberState.Joining, admin.StateOf("node4"));
        late.Start();
        admin.RunUntilState("node4", MemberState.Up);
    }

    [Fact]
    public void A_member_that_is_down_is_replaced_by_the_one_that_is_named()
    {
        AdminHarness admin = new(3);
        admin.Cluster.Put(admin.Cluster.Nodes[0], "key", "value");
        HarnessNode dead = admin.Node("node3");
        dead.Crash(CrashMode.KeepAll);
        admin.Join("node4");
        Assert.Contains("does not answer", admin.Refused(ClusterChangeKind.Remove, "node2", "node3").Message, StringComparison.Ordinal);
        Assert.Contains("to be replaced", admin.Refused(ClusterChangeKind.Remove, "node3", "node3").Message, StringComparison.Ordinal);
        ClusterChangeAnswer done = admin.Do(ClusterChangeKind.Remove, "node3", "node4");
        Assert.Equal((true, MemberState.Leaving), (done.IsDone, done.State));
        admin.Cluster.RunUntil(() => admin.Replicas("node4") == 4, 60_000, "node4 has all replicas of node3");
        Assert.Equal(0, admin.Replicas("node3"));
        admin.RunUntilState("node3", MemberState.Left);
        Assert.Equal("value", admin.Cluster.Get(admin.Node("node4"), "key"));
    }

    [Fact]
    public void A_removal_that_loses_something_is_refused_and_force_names_it()
    {
        AdminHarness admin = new(3, replicas: 1);
        HarnessNode dead = admin.Node("node3");
        int alone = admin.Replicas("node3");
        Assert.True(alone > 0);
        dead.Crash(CrashMode.KeepAll);
        Assert.Contains("is lost with it", admin.Refused(ClusterChangeKind.Remove, "node3").Message, StringComparison.Ordinal);
        ClusterChangeAnswer dry = admin.Do(ClusterChangeKind.Remove, "node3", dryRun: true, force: true);
        Assert.Contains("is lost with it", Assert.Single(dry.Losses), StringComparison.Ordinal);
        Assert.Equal((false, MemberState.Left), (dry.IsDone, dry.State));
        Assert.Equal(MemberState.Up, admin.StateOf("node3"));

        ClusterChangeAnswer done = admin.Do(ClusterChangeKind.Remove, "node3", force: true);
        Assert.Equal((true, MemberState.Left), (done.IsDone, done.State));
        Assert.Contains("is lost with it", Assert.Single(done.Losses), StringComparison.Ordinal);
        admin.RunUntilState("node3", MemberState.Left);
        Assert.Contains("has left", admin.Refused(ClusterChangeKind.Cancel, "node3").Message, StringComparison.Ordinal);

        // Nobody sends it the catalog any more: it is told when it says hello.
        dead.Start();
        admin.Cluster.RunUntil(() => dead.FatalMessage is not null, what: "it ends");
        Assert.Contains("has left its cluster", dead.FatalMessage, StringComparison.Ordinal);
    }

    [Fact]
    public void A_majority_that_would_be_lost_is_named()
    {
        AdminHarness admin = new(5);
        NodeId[] lost = [.. admin.VotersOf(0).Take(2)];
        foreach (HarnessNode node in admin.Cluster.Nodes.Where(n => lost.Contains(n.Id)))
        {
            node.Crash(CrashMode.KeepAll);
        }

        string name = admin.Cluster.Nodes.First(n => n.Id == lost[0]).Name;
        Assert.Contains("no majority", admin.Refused(ClusterChangeKind.Remove, name).Message, StringComparison.Ordinal);
    }
}
