using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>The conditions of a change of membership one by one.</summary>
public sealed class MembershipRuleTests
{
    [Fact]
    public void Joint_membership_is_left_only_when_it_is_committed_itself_not_when_what_came_before_it_is()
    {
        Lab lab = new([1, 2, 3], [4, 5]);
        lab.Elect(1);
        lab.Settle();
        lab.Propose(1, "before");
        lab.Change(1, [1, 4, 5]);
        lab.Sync(1);
        foreach (ulong peer in (ulong[])[2, 4])
        {
            lab.Deliver(1, peer, 1);
            lab.Sync(peer);
            lab.Deliver(peer, 1);
        }

        Assert.Equal(new LogIndex(2), lab[1].CommitIndex);
        Assert.True(lab[1].Membership.IsJoint);
        Assert.Equal(new LogIndex(3), lab[1].LastIndex);
        lab.Settle();
        Assert.False(lab[1].Membership.IsJoint);
    }

    [Fact]
    public void What_only_the_old_majority_lacks_is_committed_as_soon_as_joint_membership_is_left()
    {
        Lab lab = new([1, 2, 3], [4, 5]);
        lab.Elect(1);
        lab.Settle();
        lab.Change(1, [1, 4, 5]);
        lab.Propose(1, "x");
        lab.Sync(1);
        foreach (ulong peer in (ulong[])[4, 5])
        {
            lab.Deliver(1, peer);
            lab.Sync(peer);
            lab.Deliver(peer, 1);
        }

        Assert.Equal(new LogIndex(1), lab[1].CommitIndex);
        lab.Deliver(1, 2, 1);
        lab.Sync(2);
        lab.Deliver(2, 1);
        Assert.False(lab[1].Membership.IsJoint);
        Assert.Equal(new LogIndex(3), lab[1].CommitIndex);
    }

    [Fact]
    public void Ids_that_left_in_earlier_changes_stay_retired_and_nobody_else_is()
    {
        Lab lab = new([1, 2, 3], [4, 5]);
        lab.Elect(1);
        lab.Settle();
        lab.Change(1, [1, 2], [4, 5]);
        lab.Settle();
        lab.Change(1, [1, 2], [5]);
        lab.Settle();
        Assert.Equal([new NodeId(3), new NodeId(4)], lab[1].Membership.Removed);
        Assert.Equal(MembershipStatus.IdRetired, lab.Change(1, [1, 2], [3, 5]).Status);
        Assert.Equal(MembershipStatus.IdRetired, lab.Change(1, [1, 2], [4, 5]).Status);
        Assert.Equal(MembershipStatus.Accepted, lab.Change(1, [1, 2], [5, 6]).Status);
    }

    [Fact]
    public void Without_retirement_nothing_is_noted_of_those_that_left()
    {
        Lab lab = new([1, 2, 3], [4, 5], new RaftOptions { Self = new(1), RemovedIdsMayReturn = true });
        lab.Elect(1);
        lab.Settle();
        lab.Change(1, [1, 2, 3], [5]);
        lab.Settle();
        Assert.Empty(lab[1].Membership.Removed);
    }

    [Fact]
    public void More_ids_than_a_membership_can_hold_are_not_retired()
    {
        Lab lab = new(1);
        lab.Tick(1);
        lab.Settle();
        ulong[] many = [.. Enumerable.Range(2, Membership.MaxMembers).Select(static i => (ulong)i)];
        Change([1], many, MembershipStatus.Accepted);
        Change([1], [], MembershipStatus.Accepted);
        Assert.Equal(Membership.MaxMembers, lab[1].Membership.Removed.Count);
        Change([1], [5_000], MembershipStatus.Accepted);
        Change([1], [], MembershipStatus.Invalid);
        Assert.True(lab[1].Membership.IsLearner(new(5_000)));

        void Change(ulong[] voters, ulong[] learners, MembershipStatus expected)
        {
            Assert.Equal(expected, lab.Change(1, voters, learners).Status);
            lab.Sync(1);
            lab.DropAll(1);
        }
    }

    [Fact]
    public void Voters_that_leave_are_retired_too()
    {
        Lab lab = new(2);
        lab.Elect(1);
        Change([1, 2], [.. Enumerable.Range(3, Membership.MaxMembers - 1).Select(static i => (ulong)i)], MembershipStatus.Accepted);
        Change([1, 2], [], MembershipStatus.Accepted);
        Change([1, 2], [5_000], MembershipStatus.Accepted);
        Change([1, 2], [], MembershipStatus.Accepted);
        Assert.Equal(Membership.MaxMembers, lab[1].Membership.Removed.Count);
        Change([1], [], MembershipStatus.Invalid);

        void Change(ulong[] voters, ulong[] learners, MembershipStatus expected)
        {
            Assert.Equal(expected, lab.Change(1, voters, learners).Status);
            lab.Sync(1);
            lab.Deliver(1, 2);
            lab.Sync(2);
            lab.Deliver(2, 1);
            lab.DropAll(1);
        }
    }

    [Fact]
    public void The_peers_of_a_leader_are_the_other_members_in_the_order_of_their_ids()
    {
        Lab lab = new([1, 3, 5], []);
        lab.Elect(1);
        lab.AddNode(2);
        lab.Change(1, [1, 3, 5], [2]);
        lab.Settle();
        List<PeerStatus> peers = [];
        lab[1].GetPeers(peers);
        Assert.Equal([2UL, 3, 5], peers.Select(static p => p.Id.Value));
        lab.Change(1, [1, 5], [2]);
        lab.Settle();
        lab[1].GetPeers(peers);
        Assert.Equal([2UL, 5], peers.Select(static p => p.Id.Value));
    }

    [Fact]
    public void A_leader_that_is_no_voter_any_more_says_what_is_committed_and_hands_over_to_the_voter_that_is_furthest()
    {
        Lab lab = new([1, 2, 3], [4]);
        lab.Elect(1);
        lab.Settle();
        lab.Change(1, [2, 3], [4]);
        lab.Sync(1);
        foreach (ulong peer in (ulong[])[2, 3])
        {
            Exchange(peer);
        }

        Assert.Equal((RaftRole.Leader, false), (lab[1].Role, lab[1].Membership.IsVoter(new(1))));
        lab.Propose(1, "last");
        Exchange(3);
        // The learner is further along, and cannot be elected.
        lab.Propose(1, "more");
        Exchange(4);
        Assert.Equal(RaftRole.Leader, lab[1].Role);
        // n2 gets the membership, and not what came behind it.
        AppendEntries membership = lab.InFlight(1, 2).OfType<AppendEntries>().First(static m => m.Entries.Length > 0);
        lab.Drop(1, 2);
        lab.Receive(2, membership);
        lab.Sync(2);
        lab.Deliver(2, 1);
        Assert.Equal((RaftRole.Follower, new LogIndex(3)), (lab[1].Role, lab[1].CommitIndex));
        Assert.Contains(lab.InFlight(1, 3), static m => m is TimeoutNow);
        Assert.DoesNotContain(lab.InFlight(1, 2).Concat(lab.InFlight(1, 4)), static m => m is TimeoutNow);
        Heartbeat news = lab.Last<Heartbeat>(1, 3);
        Assert.Equal(lab[1].CommitIndex, news.Commit);

        void Exchange(ulong peer)
        {
            lab.Deliver(1, peer);
            lab.Sync(peer);
            lab.Deliver(peer, 1);
        }
    }
}
