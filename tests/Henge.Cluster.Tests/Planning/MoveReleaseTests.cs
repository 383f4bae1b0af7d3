using Henge.Cluster.Planning;
using Henge.Core;

namespace Henge.Cluster.Tests.Planning;

public sealed class MoveReleaseTests
{
    private static TargetPlacement Placed(params string[] rows) =>
        TargetPlacement.From(5, 3, [.. rows.Select(static r => r.Select(static c => new NodeId((ulong)(c - '0'))).ToArray())]);

    private static string Rows(TargetPlacement placement) =>
        string.Join(' ', Enumerable.Range(0, placement.ShardCount).Select(s =>
            string.Concat(placement.ReplicasOf(new ShardId((uint)s)).ToArray().Select(static id => id.Value))));

    private static string Next(
        TargetPlacement followed, TargetPlacement goal, MoveLimits limits, string moving = "", string departing = "", string coming = "")
    {
        TargetPlacement next = MoveRelease.Next(
            followed,
            goal,
            shard => moving.Contains((char)('0' + shard.Value), StringComparison.Ordinal)
                ? coming.Select(static c => new NodeId((ulong)(c - '0'))).ToArray()
                : null,
            id => departing.Contains((char)('0' + id.Value), StringComparison.Ordinal),
            limits);
        string rows = Rows(next);
        Assert.Equal(rows == Rows(followed) ? 5UL : 6UL, next.Generation);
        return rows;
    }

    private static readonly MoveLimits Wide = new() { Cluster = 100, Member = 100 };

    [Fact]
    public void No_more_begin_than_may()
    {
        TargetPlacement followed = Placed("123", "213", "312", "123");
        TargetPlacement goal = Placed("124", "214", "412", "123");
        Assert.Equal("124 214 412 123", Next(followed, goal, Wide));
        Assert.Equal("124 214 312 123", Next(followed, goal, Wide with { Cluster = 2 }));
        Assert.Equal("124 213 312 123", Next(followed, goal, Wide with { Member = 1 }));

        // One that is on its way counts.
        Assert.Equal("124 213 312 123", Next(followed, goal, Wide with { Cluster = 2 }, moving: "3", coming: "2"));
        Assert.Equal("123 213 312 123", Next(followed, goal, Wide with { Cluster = 1 }, moving: "3", coming: "2"));

        // One of which nobody is still to come does not.
        Assert.Equal("124 213 312 123", Next(followed, goal, Wide with { Cluster = 1 }, moving: "3"));
    }

    [Fact]
    public void Who_leads_sends_to_no_more_than_may_be() =>
        Assert.Equal("124 132 435", Next(Placed("123", "132", "423"), Placed("124", "135", "435"), Wide with { Member = 1 }));

    [Fact]
    public void What_copies_nothing_goes_at_once()
    {
        MoveLimits none = new() { Cluster = 0, Member = 0, OnlyUrgent = true };
        Assert.Equal("321 12", Next(Placed("123", "123"), Placed("321", "12"), none));
    }

    [Fact]
    public void Whoever_is_on_the_way_follows_a_new_plan_at_once() =>
        Assert.Equal("125 123", Next(Placed("124", "123"), Placed("125", "125"), Wide with { Cluster = 1 }, moving: "0", coming: "4"));

    [Fact]
    public void Replicas_of_members_that_go_come_first()
    {
        TargetPlacement followed = Placed("123", "124", "143");
        TargetPlacement goal = Placed("125", "125", "145");
        Assert.Equal("123 125 143", Next(followed, goal, Wide with { Cluster = 1, Member = 1 }, departing: "4"));
        Assert.Equal("123 125 145", Next(followed, goal, Wide with { OnlyUrgent = true }, departing: "4"));
        Assert.Equal("123 124 143", Next(followed, goal, Wide with { OnlyUrgent = true }));
    }

    [Fact]
    public void In_the_end_all_are_where_the_plan_has_them()
    {
        for (int seed = 0; seed < 100; seed++)
        {
            Random random = new(seed);
            TargetPlacement followed = Placed([.. Enumerable.Range(0, 30).Select(_ => Row(random))]);
            TargetPlacement goal = Placed([.. Enumerable.Range(0, 30).Select(_ => Row(random))]);
            MoveLimits few = new() { Cluster = 3, Member = 1 };
            int rounds = 0;
            for (; !followed.HasSameReplicas(goal); rounds++)
            {
                TargetPlacement next = MoveRelease.Next(followed, goal, static _ => null, static _ => false, few);
                Assert.InRange(Enumerable.Range(0, 30).Count(s => Copies(followed, next, s)), 0, 3);
                Assert.False(next.HasSameReplicas(followed));
                followed = next;
            }

            Assert.InRange(rounds, 1, 30);
        }
    }

    private static bool Copies(TargetPlacement from, TargetPlacement to, int shard) =>
        to.ReplicasOf(new ShardId((uint)shard)).ToArray().Except(from.ReplicasOf(new ShardId((uint)shard)).ToArray()).Any();

    private static string Row(Random random)
    {
        char[] all = [.. "12345678"];
        random.Shuffle(all);
        return new string(all[..3]);
    }
}
