using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Catalog;
using Henge.Node.Context;

namespace Henge.Node.Tests.Members;

public sealed class CatalogVotersTests
{
    [Fact]
    public void Every_member_gets_the_log_and_who_has_left_does_not()
    {
        MemberTable members = Members("a", "b", "c", "d");
        Assert.Equal("1 2 3 + 4", Next([1, 2, 3], [], members));
        members.Set(new MemberInfo(new NodeId(4), "n4", "h:4") { State = MemberState.Left });
        Assert.Equal("1 2 3 + ", Next([1, 2, 3], [4], members));

        // One that the table does not know yet stays.
        Assert.Null(Next([1, 2, 3], [9], members));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 2)]
    [InlineData(3, 3)]
    [InlineData(4, 3)]
    [InlineData(5, 5)]
    [InlineData(9, 5)]
    public void Not_more_vote_than_bear_more_failures(int members, int voters) => Assert.Equal(voters, CatalogVoters.WantedOf(members));

    [Fact]
    public void Voters_rise_by_two_where_one_more_is_of_no_use_and_only_when_they_have_caught_up()
    {
        MemberTable members = Members("", "", "", "", "");
        Assert.Equal("1 2 3 4 5 + ", Next([1, 2, 3], [4, 5], members));
        Assert.Null(Next([1, 2, 3], [4, 5], members, behind: 5));
        members.Set(new MemberInfo(new NodeId(5), "n5", "h:5") { State = MemberState.Joining });
        Assert.Null(Next([1, 2, 3], [4, 5], members));
    }

    [Fact]
    public void A_member_of_a_zone_without_a_voter_takes_the_place_of_one_of_two_in_the_same()
    {
        MemberTable members = Members("a", "a", "b", "c");
        Assert.Equal("1 3 4 + 2", Next([1, 2, 3], [4], members));
        Assert.Null(Next([1, 3, 4], [2], members));

        // Not that of the leader.
        Assert.Equal("1 3 4 + 2", Next([1, 2, 3], [4], members, leader: 1));
        Assert.Equal("2 3 4 + 1", Next([1, 2, 3], [4], members, leader: 2));
    }

    [Fact]
    public void Who_leaves_gives_its_vote_away_or_keeps_it_while_nobody_can_take_it()
    {
        MemberTable members = Members("", "", "", "");
        members.Set(new MemberInfo(new NodeId(2), "n2", "h:2") { State = MemberState.Leaving });
        Assert.Equal("1 3 4 + 2", Next([1, 2, 3], [4], members));
        Assert.Null(Next([1, 2, 3], [4], members, behind: 4));
        members.Set(new MemberInfo(new NodeId(2), "n2", "h:2") { State = MemberState.Left });
        Assert.Equal("1 3 4 + ", Next([1, 2, 3], [4], members));
    }

    [Fact]
    public void Who_is_lost_or_drained_gives_its_vote_away_only_when_somebody_takes_it()
    {
        MemberTable members = Members("", "", "", "", "", "");
        Assert.Equal("1 2 4 5 6 + 3", Next([1, 2, 3, 4, 5], [6], members, lost: 3));
        Assert.Null(Next([1, 2, 3, 4, 5], [6], members, behind: 6, lost: 3));
        Assert.Null(Next([1, 2, 3, 4, 5], [6], members, lost: 6));

        // When it is back it learns, and nobody gives a vote back for it.
        Assert.Null(Next([1, 2, 4, 5, 6], [3], members));
        members.Set(new MemberInfo(new NodeId(1), "n1", "h:1") { State = MemberState.Draining });
        Assert.Equal("2 3 4 5 6 + 1", Next([1, 2, 3, 4, 5], [6], members));
        Assert.Null(Next([1, 2, 3, 4, 5], [], Members("", "", "", "", ""), lost: 2));
    }

    [Fact]
    public void In_the_place_of_a_lost_voter_comes_one_of_the_zone_with_fewest()
    {
        MemberTable members = Members("a", "b", "c", "a", "b", "b", "a");
        Assert.Equal("1 3 4 5 6 + 2 7", Next([1, 2, 3, 4, 5], [6, 7], members, lost: 2));
    }

    [Fact]
    public void Too_many_voters_become_learners_one_by_one_and_never_the_leader()
    {
        MemberTable members = Members("", "", "", "", "", "", "");
        Assert.Equal("1 2 3 4 5 7 + 6", Next([1, 2, 3, 4, 5, 6, 7], [], members, leader: 7));
        Assert.Equal("1 2 3 4 7 + 5 6", Next([1, 2, 3, 4, 5, 7], [6], members, leader: 7));
        Assert.Null(Next([1, 2, 3, 4, 7], [5, 6], members, leader: 7));
    }

    private static MemberTable Members(params string[] zones) =>
        new(zones.Select(static (zone, i) => new MemberInfo(new NodeId((ulong)i + 1), $"n{i + 1}", $"h:{i + 1}") { Zone = zone }));

    private static string? Next(
        ulong[] voters,
        ulong[] learners,
        MemberTable members,
        ulong leader = 1,
        ulong behind = 0,
        params ulong[] lost)
    {
        var status = new ShardStatus
        {
            Shard = ShardId.Catalog,
            Leader = new NodeId(leader),
            Committed = new LogIndex(1_000),
            Voters = [.. voters.Select(static id => new NodeId(id))],
            Learners = [.. learners.Select(static id => new NodeId(id))],
            Peers =
            [
                .. voters.Concat(learners).Where(id => id != leader).Select(id =>
                    new PeerProgress(new NodeId(id), new LogIndex(id == behind ? 10UL : 999UL), "Replicate", learners.Contains(id), true)),
            ],
        };
        return CatalogVoters.Next(status, members, [.. lost.Select(static id => new NodeId(id))]) is not { } change
            ? null
            : $"{Text(change.Voters)} + {Text(change.Learners)}";
    }

    private static string Text(IEnumerable<NodeId> ids) => string.Join(' ', ids.Select(static id => id.Value).Order());
}
