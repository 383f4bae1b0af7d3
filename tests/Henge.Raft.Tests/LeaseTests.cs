using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>
/// With 15 ticks of shortest election timeout and a drift bound of 2, a lease lasts 11 ticks from the sending of a heartbeat.
/// </summary>
public sealed class LeaseTests
{
    private static Lab Lab(int voters = 3) => new(voters, new RaftOptions { Self = new(1), LeaseReads = true, LeaseDriftTicks = 2 });

    private static Lab Lab(RaftBugs bugs) => new(3, new RaftOptions { Self = new(1), LeaseReads = true, LeaseDriftTicks = 2, Bugs = bugs });

    private static Lab WithLease(out ulong now)
    {
        Lab lab = Lab();
        ulong ticks = 0;
        while (lab[1].Role != RaftRole.Leader)
        {
            lab.Tick(1);
            ticks++;
            lab.Settle();
        }

        for (int i = 0; i < 5; i++)
        {
            lab.Tick(1);
            ticks++;
        }

        lab.Settle();
        now = ticks;
        return lab;
    }

    [Fact]
    public void A_lease_begins_when_the_heartbeat_was_sent_and_ends_by_the_clock_whether_or_not_ticks_were_delivered()
    {
        Lab lab = WithLease(out ulong now);
        Assert.True(lab[1].TryLeaseRead(now, out LogIndex index, out ulong end));
        Assert.Equal(new LogIndex(1), index);
        Assert.Equal(now + 11, end);
        Assert.True(lab[1].TryLeaseRead(now + 10, out _, out _));
        // The process was paused: the group has seen no tick, but the clock has moved.
        Assert.False(lab[1].TryLeaseRead(now + 11, out _, out _));
        Assert.False(lab[1].TryLeaseRead(now + 1_000_000, out _, out _));
    }

    [Fact]
    public void Without_the_option_there_is_no_lease()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Tick(1, 5);
        lab.Settle();
        Assert.False(lab[1].TryLeaseRead(0, out _, out _));
    }

    [Fact]
    public void There_is_no_lease_before_the_leaders_own_entry_is_committed_and_none_at_a_follower()
    {
        Lab lab = Lab();
        lab.Win(1, 2);
        lab.Tick(1, 5);
        lab.Deliver(1, 2);
        lab.Deliver(2, 1);
        Assert.False(lab[1].TryLeaseRead(0, out _, out _));
        Assert.False(lab[2].TryLeaseRead(0, out _, out _));
    }

    [Fact]
    public void A_lease_ends_when_a_transfer_begins_and_does_not_come_back_in_that_term()
    {
        Lab lab = WithLease(out ulong now);
        lab.Transfer(1, 2);
        Assert.False(lab[1].TryLeaseRead(now, out _, out _));
        // The word is lost, or only late: the transfer is given up, but its target may still act on it at any time.
        lab.Drop(1, 2);
        for (int i = 0; i < 20; i++)
        {
            lab.Tick(1);
            lab.Settle();
        }

        Assert.True(lab[1].TransferTarget.IsNone);
        Assert.Equal(RaftRole.Leader, lab[1].Role);
        Assert.False(lab[1].TryLeaseRead(now + 20, out _, out _));
    }

    [Fact]
    public void A_node_that_restarts_keeps_the_promise_that_it_may_have_made()
    {
        Lab lab = WithLease(out _);
        lab.Crash(2);
        lab.Start(2);
        RequestVote vote = new() { From = new(3), To = new(2), Term = new(5), LastIndex = new(99), LastTerm = new(4) };
        lab.Receive(2, vote);
        lab.Campaign(2);
        Assert.Equal(new Term(1), lab[2].Term);
        Assert.Equal(RaftRole.Follower, lab[2].Role);
        lab.Tick(2, 14);
        lab.Receive(2, vote);
        Assert.Equal(new Term(1), lab[2].Term);
        lab.Tick(2);
        lab.Receive(2, vote);
        Assert.Equal(new Term(5), lab[2].Term);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Ticks_that_come_late_all_at_once_do_not_shorten_a_promise(bool byBug)
    {
        // The worker of node 2 stood still for 30 ticks. Then it takes in a heartbeat that came a moment ago, and makes up for its ticks at
        // once.
        Lab lab = Lab(byBug ? RaftBugs.PromiseByTicks : RaftBugs.None);
        lab.Elect(1);
        lab.Settle();
        RequestVote vote = new() { From = new(3), To = new(2), Term = new(5), LastIndex = new(99), LastTerm = new(4) };
        ulong clock = 100;
        lab[2].SetClock(clock);
        lab.Receive(2, new Heartbeat { From = new(1), To = new(2), Term = lab[1].Term });
        lab.Tick(2, 30);
        lab.Receive(2, vote);
        Assert.Equal(byBug, lab[2].Term == new Term(5));
        if (byBug)
        {
            return;
        }

        // Nor does it stand for election itself: its own vote is promised, too.
        Assert.Equal(RaftRole.Follower, lab[2].Role);
        lab[2].SetClock(clock + 14);
        lab.Receive(2, vote);
        Assert.Equal(new Term(1), lab[2].Term);
        lab[2].SetClock(clock + 15);
        lab.Receive(2, vote);
        Assert.Equal(new Term(5), lab[2].Term);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_voter_keeps_its_promise_over_a_restart_whether_or_not_it_uses_leases_itself(bool leaseReads)
    {
        Lab lab = new(3, new RaftOptions { Self = new(1), LeaseReads = leaseReads });
        lab.Elect(1);
        lab.Settle();
        lab.Crash(2);
        lab.Start(2);
        RequestVote vote = new() { From = new(3), To = new(2), Term = new(5), LastIndex = new(99), LastTerm = new(4) };
        lab.Receive(2, vote);
        lab.Tick(2, 14);
        lab.Receive(2, vote);
        Assert.Equal(new Term(1), lab[2].Term);
        lab.Tick(2);
        lab.Receive(2, vote);
        Assert.Equal(new Term(5), lab[2].Term);
    }

    [Fact]
    public void Who_was_asked_to_stand_for_election_at_its_start_does_so_when_its_promise_ends()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Settle();
        lab.Crash(2);
        lab.Start(2);
        lab.Campaign(2);
        lab.Tick(2, 14);
        Assert.Equal(RaftRole.Follower, lab[2].Role);
        lab.Tick(2);
        Assert.Equal(RaftRole.PreCandidate, lab[2].Role);
    }

    [Fact]
    public void The_only_voter_waits_for_no_other_after_a_restart()
    {
        Lab lab = new(1);
        lab.Elect(1);
        lab.Settle();
        lab.Crash(1);
        lab.Start(1);
        lab.Tick(1);
        lab.Settle();
        Assert.Equal(RaftRole.Leader, lab[1].Role);
    }

    [Fact]
    public void The_only_voter_always_has_its_lease()
    {
        Lab lab = Lab(1);
        lab.Elect(1);
        Assert.True(lab[1].TryLeaseRead(1_000_000, out LogIndex index, out _));
        Assert.Equal(new LogIndex(1), index);
    }

    [Fact]
    public void A_drift_bound_that_leaves_no_lease_is_refused() =>
        Assert.Throws<HengeException>(static () => new RaftOptions { Self = new(1), LeaseReads = true, LeaseDriftTicks = 13 }.Validate());

    [Fact]
    public void There_is_no_lease_before_a_majority_has_answered_a_heartbeat_even_if_it_has_acknowledged_entries()
    {
        Lab lab = Lab();
        for (int i = 0; lab[1].Role != RaftRole.Leader && i < 100; i++)
        {
            lab.Tick(1);
            lab.Settle();
        }

        Assert.Equal(new LogIndex(1), lab[1].CommitIndex);
        Assert.False(lab[1].TryLeaseRead(0, out _, out _));
    }

    [Fact]
    public void There_is_no_lease_while_leadership_is_handed_over_even_before_the_target_has_heard_of_it()
    {
        Lab lab = WithLease(out ulong now);
        lab.Propose(1, "a");
        lab.Drop(1, 3);
        lab.Settle(3);
        lab.Transfer(1, 3);
        Assert.DoesNotContain(lab.InFlight(1, 3), static m => m is TimeoutNow);
        Assert.False(lab[1].TryLeaseRead(now, out _, out _));
    }
}
