using Henge.Cluster.Recovery;
using Henge.Core;

namespace Henge.Cluster.Tests.Recovery;

public sealed class RecoveryPlannerTests
{
    private static readonly HashSet<ShardId> None = [];

    private static NodeId[] Ids(string digits) => [.. digits.Select(static c => new NodeId((ulong)(c - '0')))];

    private static Survivor Replica(ulong node, ShardId shard, string voters, ulong last = 100, ulong term = 5, ulong commit = 90) => new()
    {
        Node = new NodeId(node),
        Shard = shard,
        Term = new Term(term + 1),
        LastTerm = new Term(term),
        Last = new LogIndex(last),
        Commit = new LogIndex(commit),
        CommitTerm = new Term(term),
        Terms = [(new LogIndex(0), Term.Zero), (new LogIndex(1), new Term(term))],
        LastVersion = new Core.Version(last * 10),
        AppliedVersion = new Core.Version(commit * 10),
        ConfigurationIndex = new LogIndex(1),
        Voters = Ids(voters),
    };

    // A node of five, with the catalog and one shard.
    private static NodeRemains Node(ulong number, params Survivor[] replicas) => new()
    {
        Member = new RecoveryMember(new NodeId(number), $"n{number}", 0xD0 + number),
        ClusterId = "c1",
        Shards = 1,
        Members = [.. Enumerable.Range(1, 5).Select(static i => new RecoveryMember(new NodeId((ulong)i), $"n{i}"))],
        Replicas = replicas,
        Terms = new Dictionary<ShardId, Term> { [new ShardId(0)] = new(9) },
    };

    private static NodeRemains Both(ulong number, string voters, ulong last = 100, ulong term = 5) => Node(
        number,
        Replica(number, ShardId.Catalog, "12345"),
        Replica(number, new ShardId(0), voters, last, term));

    [Fact]
    public void The_best_that_is_left_goes_on_above_all_terms_and_the_others_follow_it()
    {
        RecoveryOutline outline = RecoveryPlanner.Make([Both(2, "123", last: 110), Both(1, "123", last: 120, term: 4)], None);
        Assert.False(outline.IsRefused);
        Assert.False(outline.LosesNothing);
        Assert.Equal(Ids("12"), outline.Plan.Survivors.Select(static m => m.Id));
        Assert.Equal(["n3", "n4", "n5"], outline.Plan.Lost.Select(static m => m.Name));

        // The shard has a majority by itself.
        RecoveryStep catalog = Assert.Single(outline.Plan.Steps);
        Assert.True(catalog.Shard.IsCatalog);
        Assert.Equal([LossKind.MayLose, LossKind.Serving], outline.Shards.Select(static s => s.Kind));

        outline = RecoveryPlanner.Make([Both(2, "234", last: 110), Both(5, "345", last: 105)], None);
        RecoveryStep shard = outline.Plan.Steps[0];
        Assert.Equal((new NodeId(2), new LogIndex(110), new Term(5), new Term(2 * RecoveryPlanner.TermsApart)), (
            shard.Best, shard.Last, shard.LastTerm, shard.Term));
        Assert.Equal(Ids("5"), shard.Learners);
        Assert.Equal(new Core.Version(1_100), shard.KeptVersion);
    }

    [Fact]
    public void What_a_restarted_node_has_forgotten_of_terms_makes_no_other_plan()
    {
        RecoveryPlan plan = RecoveryPlanner.Make([Both(2, "234"), Both(5, "345")], None).Plan;
        NodeRemains forgetful = Both(5, "345") with { Terms = new Dictionary<ShardId, Term> { [new ShardId(0)] = Term.Zero } };
        Assert.Equal(plan.Id, RecoveryPlanner.Make([Both(2, "234"), forgetful], None).Plan.Id);
        foreach (ulong term in new ulong[] { 999, 1_000, 1_999, 123_456 })
        {
            NodeRemains late = Both(5, "345") with { Terms = new Dictionary<ShardId, Term> { [new ShardId(0)] = new(term) } };
            Assert.InRange(
                RecoveryPlanner.Make([Both(2, "234"), late], None).Plan.Steps[0].Term.Value - term,
                RecoveryPlanner.TermsApart,
                2 * RecoveryPlanner.TermsApart);
        }
    }

    [Fact]
    public void A_plan_is_its_text_and_its_text_has_one_name()
    {
        RecoveryPlan plan = RecoveryPlanner.Make([Both(2, "234"), Both(5, "345")], None).Plan;
        Assert.Equal(plan.Id, RecoveryPlanner.Make([Both(5, "345"), Both(2, "234")], None).Plan.Id);
        RecoveryPlan? read = RecoveryPlan.Parse(plan.Text);
        Assert.Equal((plan.Id, plan.Text), (read?.Id, read?.Text));
        Assert.NotEqual(plan.Id, RecoveryPlanner.Make([Both(2, "234", last: 101), Both(5, "345")], None).Plan.Id);
        Assert.NotEqual(plan.Id, RecoveryPlanner.Make([Both(2, "234")], None).Plan.Id);
        string[] spoilt =
        [
            "", plan.Text + "x", plan.Text.Replace("henge-recovery 1", "henge-recovery 2"), plan.Text.Replace("shard", "shared"),
            plan.Text.Replace("survivor 2", "survivor x"), plan.Text.Replace("lost 1 n1", "lost 1"), plan.Text.Replace("c1\n", "c1\n\n"),
        ];
        Assert.All(spoilt, static text => Assert.Null(RecoveryPlan.Parse(text)));
    }

    [Fact]
    public void Where_every_shard_has_a_majority_there_is_nothing_to_recover()
    {
        RecoveryOutline outline = RecoveryPlanner.Make([Both(1, "123"), Both(2, "123"), Both(3, "123")], None);
        Assert.True(outline.IsRefused);
        Assert.Contains("nothing to recover", outline.Problems[0]);
        Assert.Empty(outline.Plan.Steps);
    }

    [Fact]
    public void Without_the_catalog_nothing_is_done()
    {
        RecoveryOutline outline = RecoveryPlanner.Make([Node(1, Replica(1, new ShardId(0), "123"))], None);
        Assert.True(outline.IsRefused);
        Assert.Contains("catalog", outline.Problems[0]);
        NodeRemains foreign = Both(2, "123") with { ClusterId = "c2" };
        Assert.Contains("different clusters", RecoveryPlanner.Make([Both(1, "123"), foreign], None).Problems[0]);
        Assert.Contains("no node", RecoveryPlanner.Make([], None).Problems[0], StringComparison.OrdinalIgnoreCase);
        NodeRemains twin = Both(1, "123");
        Assert.Contains("Two nodes", RecoveryPlanner.Make([twin, twin], None).Problems[0]);
    }

    [Fact]
    public void A_shard_of_which_nothing_is_left_begins_empty_only_when_it_is_named()
    {
        NodeRemains[] left = [Node(1, Replica(1, ShardId.Catalog, "12345")), Node(2, Replica(2, ShardId.Catalog, "12345"))];
        RecoveryOutline outline = RecoveryPlanner.Make(left, None);
        Assert.Contains("--start-empty 0", Assert.Single(outline.Problems));
        Assert.True(Assert.Single(outline.Plan.Steps).Shard.IsCatalog);

        left[0] = left[0] with { Dropped = [new ShardId(0)] };
        outline = RecoveryPlanner.Make(left, new HashSet<ShardId> { new(0) });
        Assert.Empty(outline.Problems);
        RecoveryStep step = outline.Plan.Steps[0];
        Assert.True(step.IsEmpty);
        Assert.Equal(new NodeId(2), step.Best);
        Assert.True(RecoveryPlan.Parse(outline.Plan.Text)!.Steps[0].IsEmpty);

        // Not where it was before, and not beside a damaged one.
        Assert.Contains("has had a replica", RecoveryPlanner
            .Make([.. left.Select(static n => n with { Dropped = [new ShardId(0)] })], new HashSet<ShardId> { new(0) }).Problems[0]);
        left[1] = Node(2, left[1].Replicas[0], Replica(2, new ShardId(0), "234") with { IsDamaged = true });
        Assert.Contains("damaged replica", RecoveryPlanner.Make(left, new HashSet<ShardId> { new(0) }).Problems[0]);
    }

    [Fact]
    public void A_damaged_replica_that_knows_more_stops_its_shard_alone()
    {
        NodeRemains ahead = Node(
            4,
            Replica(4, ShardId.Catalog, "12345"),
            Replica(4, new ShardId(0), "234", last: 130, commit: 125) with { IsDamaged = true });
        RecoveryOutline outline = RecoveryPlanner.Make([Both(5, "345", last: 110), ahead], None);
        Assert.Contains("n4", Assert.Single(outline.Problems));
        Assert.True(Assert.Single(outline.Plan.Steps).Shard.IsCatalog);
        Assert.Equal(15UL, outline.Shards[1].CertainlyLost);
        Assert.False(outline.IsRefused);
    }

    [Fact]
    public void An_entry_that_is_known_to_be_committed_counts_more_than_a_later_term()
    {
        // Entry 2 of term 2 was committed by the leader of term 4 on nodes 1, 2 and 4, which are lost; node 3 has heard of that, and has
        // nothing of term 4 itself. Node 5 was elected in term 3, and what it wrote came to nothing.
        Survivor third = Replica(3, new ShardId(0), "12345", last: 2, commit: 2) with
        {
            LastTerm = new Term(2),
            CommitTerm = new Term(2),
            Terms = [(new LogIndex(0), Term.Zero), (new LogIndex(1), new Term(1)), (new LogIndex(2), new Term(2))],
        };
        Survivor fifth = Replica(5, new ShardId(0), "12345", last: 4, commit: 1) with
        {
            LastTerm = new Term(3),
            CommitTerm = new Term(1),
            Terms = [(new LogIndex(0), Term.Zero), (new LogIndex(1), new Term(1)), (new LogIndex(2), new Term(3))],
        };
        ShardLoss loss = Assert.Single(LossReport.Make([new ShardId(0)], [third, fifth]));
        Assert.Equal((new NodeId(3), LossKind.MayLose, 0UL), (loss.Best, loss.Kind, loss.CertainlyLost));

        // When the one that has it is damaged, it is lost, and said to be.
        loss = Assert.Single(LossReport.Make([new ShardId(0)], [third with { IsDamaged = true }, fifth]));
        Assert.Equal((new NodeId(5), 1UL), (loss.Best, loss.CertainlyLost));
        Assert.Equal([new NodeId(3)], loss.Ahead);
    }

    [Fact]
    public void What_a_node_says_comes_through_the_wire()
    {
        NodeRemains said = Both(3, "345") with
        {
            Dropped = [new ShardId(0)],
            Adopted = RecoveryPlanner.Make([Both(2, "234")], None).Plan.Text,
        };
        string text = RemainsText.Write(said);
        NodeRemains heard = RemainsText.Parse(text)!;
        Assert.Equal(text, RemainsText.Write(heard));
        Assert.Equal(said.Adopted, heard.Adopted);
        Assert.Equal(said.Member, heard.Member);
        Assert.Equal(said.Replicas[1].Terms, heard.Replicas[1].Terms);
        string[] spoilt =
        [
            "", "henge-remains 2\n", "henge-remains 1\nnode 1\n",
            text.Replace("cluster", "claster"), text.Replace("replica 0", "replica x"),
        ];
        Assert.All(spoilt, static t => Assert.Null(RemainsText.Parse(t)));
    }
}
