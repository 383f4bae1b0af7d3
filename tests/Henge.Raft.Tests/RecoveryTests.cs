using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>A group whose majority is lost for ever goes on alone from one member, when an operator says so.</summary>
public sealed class RecoveryTests
{
    private static readonly Term Forced = new(1_000);

    [Fact]
    public void One_member_goes_on_with_all_that_is_in_its_log_and_others_that_are_left_follow()
    {
        Lab lab = new(5);
        lab.Elect(1);
        lab.Propose(1, "acknowledged");
        lab.Settle();

        // Written by the leader and one more, and never committed: whether it was, nobody can tell any more.
        lab.Propose(1, "perhaps");
        lab.Sync(1);
        lab.Deliver(1, 2);
        lab.Sync(2);
        foreach (ulong lost in new ulong[] { 1, 4, 5 })
        {
            lab.Crash(lost);
        }

        RaftGroup best = lab[2];
        LogIndex last = best.LastIndex;
        lab.Tick(2, 200);
        lab.Tick(3, 200);
        Assert.NotEqual(RaftRole.Leader, best.Role);
        Assert.Equal(RecoveryStatus.Written, best.Recover(Forced, last, best.LastTerm, [new(3)]));
        lab.Pump(2);
        lab.Tick(2, 200);
        Assert.NotEqual(RaftRole.Leader, best.Role);
        lab.Sync(2);
        Assert.Equal(RecoveryStatus.Durable, best.Recover(Forced, last, best.LastTerm, [new(3)]));
        lab.Elect(2);
        lab.Settle(1, 4, 5);
        lab.Tick(2, 10);
        lab.Settle(1, 4, 5);
        Assert.Equal(Forced.Next, best.Term);
        Assert.Equal(best.LastIndex, best.CommitIndex);
        Assert.Equal([new NodeId(2)], best.Membership.Voters);
        Assert.Equal([new NodeId(3)], best.Membership.Learners);
        Assert.Equal(["acknowledged", "perhaps"], lab.Applied[2]);
        Assert.Equal(["acknowledged", "perhaps"], lab.Applied[3]);
        Assert.Equal(best.LastIndex, lab[3].LastIndex);
    }

    [Fact]
    public void It_is_done_once_and_survives_a_crash_when_it_was_said_to_be_durable()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Settle();
        lab.Crash(1);
        lab.Crash(3);
        LogIndex last = lab[2].LastIndex;
        Term lastTerm = lab[2].LastTerm;
        Assert.Equal(RecoveryStatus.Written, lab[2].Recover(Forced, last, lastTerm, []));

        // Before the sync: it begins anew.
        lab.Pump(2);
        lab.Crash(2);
        lab.Start(2);
        Assert.Equal(last, lab[2].LastIndex);
        Assert.Equal(RecoveryStatus.Written, lab[2].Recover(Forced, last, lastTerm, []));
        Assert.Equal(RecoveryStatus.Written, lab[2].Recover(Forced, last, lastTerm, []));
        lab.Pump(2);
        lab.Sync(2);
        lab.Crash(2);
        lab.Start(2);
        Assert.Equal(RecoveryStatus.Durable, lab[2].Recover(Forced, last, lastTerm, []));
        Assert.Equal(last.Next, lab[2].LastIndex);
        Assert.True(lab[2].Membership.IsSingleVoter(new(2)));
    }

    [Fact]
    public void What_the_operator_was_not_shown_is_not_decided_on()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Settle();
        RaftGroup group = lab[2];
        LogIndex last = group.LastIndex;
        Term term = group.Term;
        Assert.Equal(RecoveryStatus.Differs, group.Recover(Forced, last.Next, group.LastTerm, []));
        Assert.Equal(RecoveryStatus.Differs, group.Recover(Forced, last, group.LastTerm.Next, []));
        lab.Propose(1, "more");
        lab.Settle();
        Assert.Equal(RecoveryStatus.Differs, group.Recover(Forced, last, group.LastTerm, []));
        Assert.Equal((term, 3), (group.Term, group.Membership.Voters.Count));

        // It has been in a later term than the one that was thought to be above all.
        lab.Receive(2, new AppendEntries { From = new(3), To = new(2), Term = Forced.Next });
        Assert.Equal(RecoveryStatus.Differs, group.Recover(Forced, group.LastIndex, group.LastTerm, []));
    }

    [Fact]
    public void Lost_members_that_come_back_find_their_time_over()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Settle();
        lab.Propose(1, "unseen");
        RaftGroup group = lab[2];
        group.Recover(Forced, group.LastIndex, group.LastTerm, []);
        lab.Pump(2);
        lab.Sync(2);
        lab.Elect(2, 1, 3);
        Assert.Equal(RaftRole.Leader, group.Role);
        lab.Receive(2, new AppendEntries { From = new(1), To = new(2), Term = lab[1].Term });
        lab.Receive(2, new RequestVote { From = new(1), To = new(2), Term = new(5_000), LastIndex = new(900), LastTerm = new(4_999) });
        Assert.Equal((RaftRole.Leader, Forced.Next), (group.Role, group.Term));
    }

    [Fact]
    public void The_terms_of_a_log_are_told_from_where_they_are_known()
    {
        Lab lab = new(1);
        lab.Elect(1);
        lab.Settle();
        Term first = lab[1].LastTerm;
        lab.Crash(1);
        lab.Start(1);
        lab.Elect(1);
        lab.Settle();
        Assert.Equal(
            [(new LogIndex(0), Term.Zero), (new LogIndex(1), first), (new LogIndex(2), lab[1].LastTerm)],
            lab[1].TermsOfLog(10));
        Assert.Equal([(new LogIndex(2), lab[1].LastTerm)], lab[1].TermsOfLog(1));
    }
}
