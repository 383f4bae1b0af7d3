using Henge.Core;

namespace Henge.Raft.Tests;

public sealed class LeaderTransferTests
{
    [Fact]
    public void Leadership_goes_over_at_once_and_past_the_protection_of_the_old_leader()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Tick(1, 5);
        lab.Settle();
        Assert.Equal(TransferStatus.Started, lab.Transfer(1, 3));
        lab.Settle();
        Assert.Equal(RaftRole.Leader, lab[3].Role);
        Assert.Equal(new Term(2), lab[3].Term);
        Assert.Equal(new NodeId(3), lab[1].Leader);
    }

    [Fact]
    public void A_target_that_lags_is_brought_up_to_date_first()
    {
        Lab lab = new(3);
        lab.Elect(1);
        for (int i = 0; i < 10; i++)
        {
            lab.Propose(1, $"{i}");
        }

        lab.Drop(1, 3);
        lab.Settle(3);
        lab.Transfer(1, 3);
        Assert.DoesNotContain(lab.InFlight(1, 3), static m => m is TimeoutNow);
        lab.Settle();
        Assert.Equal(RaftRole.Leader, lab[3].Role);
        Assert.Equal(10, lab.Applied[3].Count);
    }

    [Fact]
    public void Proposals_are_refused_meanwhile_and_taken_again_when_the_transfer_is_given_up()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Transfer(1, 3);
        Assert.Equal(ProposeStatus.Transferring, lab.Propose(1, "a").Status);
        Assert.Equal(TransferStatus.AlreadyTransferring, lab.Transfer(1, 2));
        lab.Drop(1, 3);
        for (int i = 0; i < 15; i++)
        {
            lab.Tick(1);
            lab.Settle(3);
        }

        Assert.Equal(RaftRole.Leader, lab[1].Role);
        Assert.Equal(ProposeStatus.Accepted, lab.Propose(1, "a").Status);
    }

    [Fact]
    public void A_target_must_be_another_voter()
    {
        Lab lab = new([1, 2, 3], [4]);
        lab.Elect(1);
        Assert.Equal(TransferStatus.AlreadyLeader, lab.Transfer(1, 1));
        Assert.Equal(TransferStatus.NotAVoter, lab.Transfer(1, 4));
        Assert.Equal(TransferStatus.NotAVoter, lab.Transfer(1, 9));
        Assert.Equal(TransferStatus.NotLeader, lab.Transfer(2, 1));
    }

    [Fact]
    public void While_membership_is_joint_an_outgoing_voter_may_take_over()
    {
        Lab lab = new([1, 2], [3]);
        lab.Elect(1);
        lab.Settle();
        lab.Change(1, [1, 3]);
        lab.Settle(3);
        lab.DropAll(1);
        Assert.True(lab[1].Membership.IsJoint);
        Assert.True(lab[2].Membership.IsJoint);
        Assert.Equal(TransferStatus.Started, lab.Transfer(1, 2));
        Assert.Contains(lab.InFlight(1, 2), static m => m is TimeoutNow);
        lab.Deliver(1, 2);
        Assert.Equal(RaftRole.Candidate, lab[2].Role);
        lab.Settle();
        Assert.False(lab[3].Membership.IsJoint);
    }

    [Fact]
    public void A_TimeoutNow_of_an_old_leader_is_ignored()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Transfer(1, 2);
        TimeoutNow late = lab.Last<TimeoutNow>(1, 2);
        lab.DropAll(1);
        for (int i = 0; i < 31; i++)
        {
            lab.Tick(1);
        }

        lab.DropAll(1);
        lab.Elect(3);
        lab.Receive(2, late);
        Assert.Equal(RaftRole.Follower, lab[2].Role);
        Assert.Equal(new NodeId(3), lab[2].Leader);
    }

    [Fact]
    public void Only_the_leader_that_a_voter_follows_can_ask_it_to_take_over()
    {
        Lab lab = new([1, 2, 3], [4]);
        lab.Elect(1);
        lab.Settle();
        foreach ((ulong to, ulong from) in (IEnumerable<(ulong, ulong)>)[(2, 3), (4, 1), (1, 2)])
        {
            RaftRole before = lab[to].Role;
            lab.Receive(to, new TimeoutNow { From = new(from), To = new(to), Term = new(1) });
            Assert.Equal((before, new Term(1)), (lab[to].Role, lab[to].Term));
        }

        lab.Receive(2, new TimeoutNow { From = new(1), To = new(2), Term = new(1) });
        Assert.Equal((RaftRole.Candidate, new Term(2)), (lab[2].Role, lab[2].Term));
        // Again, when it stands already.
        lab.Receive(2, new TimeoutNow { From = new(1), To = new(2), Term = new(2) });
        Assert.Equal(new Term(2), lab[2].Term);
    }

    [Fact]
    public void A_transfer_has_a_whole_timeout()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Tick(1, 10);
        lab.Settle();
        lab.Transfer(1, 3);
        for (int i = 0; i < 14; i++)
        {
            lab.Tick(1);
            lab.Settle(3);
        }

        Assert.Equal(new NodeId(3), lab[1].TransferTarget);
        lab.Tick(1);
        Assert.True(lab[1].TransferTarget.IsNone);
    }

    [Fact]
    public void A_target_of_which_nothing_was_heard_is_sent_what_it_lacks_at_once()
    {
        Lab lab = new(3);
        lab.Win(1, 2);
        // The first append is a question, and nothing more goes until it is answered.
        lab.Drop(1, 3);
        lab.Propose(1, "a");
        Assert.Empty(lab.InFlight(1, 3));
        lab.Transfer(1, 3);
        Assert.Contains(lab.InFlight(1, 3), static m => m is AppendEntries);
    }
}
