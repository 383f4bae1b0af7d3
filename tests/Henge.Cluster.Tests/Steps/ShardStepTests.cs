using Henge.Cluster.Steps;
using Henge.Core;

namespace Henge.Cluster.Tests.Steps;

public sealed class ShardStepTests
{
    private const ulong Last = 1_000;

    private static NodeId[] Ids(string digits) => [.. digits.Select(static c => new NodeId((ulong)(c - '0')))];

    private static string Digits(IEnumerable<NodeId> ids) => string.Concat(ids.Select(static id => id.Value).Order());

    /// <summary>All are sound, but those that are named.</summary>
    private static ShardConfiguration Shard(
        string voters,
        string learners = "",
        string slow = "",
        string down = "",
        string damaged = "",
        ulong leader = 1,
        bool settled = true) =>
        new()
        {
            Leader = new NodeId(leader),
            Voters = Ids(voters),
            Learners = Ids(learners),
            IsSettled = settled,
            Last = new LogIndex(Last),
            Commit = new LogIndex(Last),
            Down = Ids(down),
            Replicas =
            [
                .. Ids(voters + learners).Distinct().Select(id => new ReplicaProgress(
                    id,
                    new LogIndex(Ids(slow).Contains(id) ? 10 : Last),
                    !Ids(down).Contains(id),
                    true,
                    Ids(damaged).Contains(id))),
            ],
        };

    private static void Check(ShardConfiguration now, string target, string expected)
    {
        ShardStep step = ShardStep.Next(now, Ids(target));
        string found = step.Kind switch
        {
            ShardStepKind.Wait => $"{step.Wait} {Digits(step.WaitsFor)}".TrimEnd(),
            ShardStepKind.TransferLeader => $"{step.Kind} {step.To.Value}",
            ShardStepKind.Done => "Done",
            _ => $"{step.Kind} {Digits(step.Voters)} + {Digits(step.Learners)}".TrimEnd(),
        };
        Assert.Equal(expected, found);
    }

    [Theory]
    [InlineData("123", "", "123", "Done")]
    [InlineData("123", "", "213", "TransferLeader 2")]
    [InlineData("123", "", "124", "AddLearners 123 + 4")]
    [InlineData("123", "4", "124", "ChangeVoters 124 +")]
    [InlineData("124", "", "124", "Done")]
    [InlineData("1", "", "123", "AddLearners 1 + 23")]
    [InlineData("1", "23", "123", "ChangeVoters 123 +")]
    [InlineData("12345", "", "123", "ChangeVoters 123 +")]
    [InlineData("123", "456", "456", "ChangeVoters 456 +")]
    [InlineData("123", "4", "423", "TransferLeader 2")]
    [InlineData("123", "4", "156", "AddLearners 123 + 56")]
    [InlineData("123", "4", "123", "RemoveLearners 123 +")]
    [InlineData("1", "2", "2", "ChangeVoters 2 +")]
    public void Step_by_step_when_all_is_well(string voters, string learners, string target, string expected) =>
        Check(Shard(voters, learners), target, expected);

    [Fact]
    public void One_change_at_a_time() => Check(Shard("123", "4", settled: false), "124", "ChangeUnderWay");

    [Fact]
    public void A_learner_that_has_not_caught_up_does_not_vote()
    {
        Check(Shard("123", "4", slow: "4"), "124", "CatchingUp 4");
        Check(Shard("123", "4", down: "4"), "124", "TargetIsDown 4");
        Check(Shard("123", "4", damaged: "4"), "124", "CatchingUp 4");
        ShardConfiguration snapshot = Shard("123", "4") with
        {
            Replicas =
            [
                new(new(2), new(Last), true, true),
                new(new(3), new(Last), true, true),
                new(new(4), new(Last), true, false, SnapshotBytesLeft: 77),
            ],
        };
        Check(snapshot, "124", "CatchingUp 4");
        Assert.Equal(77, ShardStep.Next(snapshot, Ids("124")).BytesLeft);
    }

    [Theory]
    [InlineData(900UL, "ChangeVoters 124 +")]
    [InlineData(899UL, "CatchingUp 4")]
    public void How_far_behind_counts_as_caught_up(ulong match, string expected)
    {
        ShardConfiguration shard = Shard("123", "4");
        shard = shard with { Replicas = [.. shard.Replicas.Where(static r => r.Id.Value != 4), new(new(4), new(match), true, true)] };
        Check(shard, "124", expected);
        Assert.Equal(Last - match, ShardStep.Next(shard, Ids("124")).EntriesLeft);
    }

    [Fact]
    public void One_that_is_slow_does_not_hold_up_the_others()
    {
        // 5 is slow; of those that go, the leader stays meanwhile.
        Check(Shard("123", "45", slow: "5"), "456", "AddLearners 123 + 456");
        Check(Shard("123", "456", slow: "56"), "456", "ChangeVoters 124 + 56");
        Check(Shard("123", "456", slow: "5"), "456", "ChangeVoters 146 + 5");
    }

    [Fact]
    public void Who_is_down_goes_first()
    {
        Check(Shard("123", "45", slow: "5", down: "2"), "145", "ChangeVoters 134 + 5");
        Check(Shard("123", "45", slow: "5", down: "3"), "145", "ChangeVoters 124 + 5");
    }

    [Fact]
    public void A_target_that_is_down_is_waited_for() => Check(Shard("123", down: "4"), "124", "TargetIsDown 4");

    [Fact]
    public void Nothing_is_done_that_leaves_fewer_to_spare()
    {
        // One of the three that shall stay is down: the other two would be a bare majority.
        Check(Shard("12345", down: "3"), "123", "WouldWeaken 3");
        Check(Shard("12345", down: "5"), "123", "ChangeVoters 123 +");
        Check(Shard("123", "4", down: "3"), "124", "ChangeVoters 124 +");
        Check(Shard("123", "4", down: "2"), "124", "ChangeVoters 124 +");
        Check(Shard("123", slow: "2"), "12", "WouldWeaken 2");
        Check(Shard("123"), "12", "ChangeVoters 12 +");
        Check(Shard("123", damaged: "2"), "12", "WouldWeaken 2");
    }

    [Fact]
    public void Leadership_goes_only_to_whom_can_take_it()
    {
        Check(Shard("123", slow: "2"), "213", "Done");
        Check(Shard("123", down: "2"), "213", "Done");
        Check(Shard("1234", down: "2"), "234", "TransferLeader 3");
        Check(Shard("1234", slow: "23"), "234", "WouldWeaken 23");
        Check(Shard("123", "4", slow: "2"), "234", "TransferLeader 3");
    }

    [Fact]
    public void A_target_must_make_sense()
    {
        Assert.Throws<HengeException>(static () => ShardStep.Next(Shard("123"), []));
        Assert.Throws<HengeException>(static () => ShardStep.Next(Shard("123"), Ids("11")));
    }
}
