using Henge.Cluster.Recovery;
using Henge.Core;

namespace Henge.Cluster.Tests.Recovery;

public sealed class LossReportTests
{
    private static readonly ShardId Shard = new(7);

    private static NodeId[] Ids(string digits) => [.. digits.Select(static c => new NodeId((ulong)(c - '0')))];

    private static Survivor Left(
        ulong node, string voters, ulong last = 100, ulong term = 5, ulong commit = 90, string outgoing = "", ulong at = 1) =>
        new()
        {
            Node = new NodeId(node),
            Shard = Shard,
            LastTerm = new Term(term),
            Last = new LogIndex(last),
            Commit = new LogIndex(commit),
            LastVersion = new Core.Version(last * 10),
            AppliedVersion = new Core.Version(commit * 10),
            ConfigurationIndex = new LogIndex(at),
            Voters = Ids(voters),
            OutgoingVoters = Ids(outgoing),
        };

    private static ShardLoss Report(params Survivor[] left) => Assert.Single(LossReport.Make([Shard], left));

    [Fact]
    public void A_majority_that_is_left_needs_no_recovery()
    {
        Assert.Equal(LossKind.Serving, Report(Left(1, "123"), Left(2, "123")).Kind);
        Assert.Equal(LossKind.Serving, Report(Left(1, "1")).Kind);

        // One of them being damaged, it rebuilds itself.
        Assert.Equal(LossKind.Serving, Report(Left(1, "123"), Left(2, "123") with { IsDamaged = true }).Kind);
    }

    [Fact]
    public void The_last_term_comes_before_the_length()
    {
        ShardLoss loss = Report(Left(1, "12345", last: 200, term: 4), Left(2, "12345", last: 150, term: 5));
        Assert.Equal(LossKind.MayLose, loss.Kind);
        Assert.Equal(new NodeId(2), loss.Best);
        Assert.Equal(new LogIndex(150), loss.Kept);
        Assert.Equal((new Core.Version(1_500), new Core.Version(900)), (loss.KeptVersion, loss.CertainVersion));
        Assert.Equal(Ids("345"), loss.Lost);
    }

    [Fact]
    public void Half_of_an_even_number_has_all_that_was_acknowledged()
    {
        ShardLoss loss = Report(Left(1, "1234", last: 100), Left(2, "1234", last: 120));
        Assert.Equal(LossKind.Complete, loss.Kind);
        Assert.Equal(new NodeId(2), loss.Best);
        Assert.Equal(0UL, loss.CertainlyLost);
        Assert.Equal(LossKind.MayLose, Report(Left(1, "1234")).Kind);
    }

    [Fact]
    public void What_is_known_to_be_committed_and_is_nowhere_is_counted()
    {
        ShardLoss loss = Report(Left(1, "123", last: 100), Left(4, "123", last: 130, commit: 130) with { IsDamaged = true });
        Assert.Equal(LossKind.MayLose, loss.Kind);
        Assert.Equal(new NodeId(1), loss.Best);
        Assert.Equal(30UL, loss.CertainlyLost);
    }

    [Fact]
    public void A_joint_configuration_counts_both_majorities()
    {
        // 1, 2, 3 were to become 3, 4, 5.
        static Survivor Of(ulong node) => Left(node, "345", outgoing: "123");
        Assert.Equal(LossKind.Serving, Report(Of(2), Of(3), Of(4)).Kind);
        Assert.Equal(LossKind.MayLose, Report(Of(3), Of(4)).Kind);
        Assert.Equal(LossKind.MayLose, Report(Of(2), Of(3)).Kind);
    }

    [Fact]
    public void The_configuration_of_whoever_has_most_counts()
    {
        // 1, 2, 3 have become 4, 5, 6, of which 1 has heard nothing yet, and 2 that it is under way.
        ShardLoss loss = Report(
            Left(1, "123", last: 90),
            Left(2, "456", last: 100, outgoing: "123", at: 95),
            Left(4, "456", last: 110, at: 105));
        Assert.Equal(LossKind.MayLose, loss.Kind);
        Assert.Equal(new NodeId(4), loss.Best);
        Assert.Equal(Ids("56"), loss.Lost);

        // One that came to nothing, in the log of a leader that was cut off, keeps nobody from being elected.
        loss = Report(Left(1, "123", last: 90, term: 6), Left(2, "123", last: 90, term: 6), Left(4, "456", last: 110, at: 105));
        Assert.Equal(LossKind.Serving, loss.Kind);
    }

    [Fact]
    public void What_is_gone_is_said()
    {
        Assert.Equal(LossKind.Gone, Report().Kind);
        Assert.Equal(LossKind.Gone, Report(Left(1, "123") with { IsDamaged = true }).Kind);
        Assert.Equal(
            [LossKind.Gone, LossKind.Serving],
            LossReport.Make([new ShardId(1), Shard], [Left(1, "1")]).Select(static l => l.Kind));
    }
}
