using Henge.Core;

namespace Henge.Raft.Tests;

public sealed class ReadTests
{
    [Fact]
    public void A_read_is_granted_when_a_majority_answers_a_heartbeat_sent_after_it()
    {
        Lab lab = new(5);
        lab.Elect(1);
        lab.Read(1, 7);
        Assert.Empty(lab.Granted);
        lab.Deliver(1, 2);
        lab.Deliver(2, 1);
        Assert.Empty(lab.Granted);
        lab.Deliver(1, 3);
        lab.Deliver(3, 1);
        Assert.Equal((1UL, new ReadGrant(7, new(1))), Assert.Single(lab.Granted));
    }

    [Fact]
    public void An_answer_to_an_earlier_heartbeat_proves_nothing_for_a_later_read()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Read(1, 7);
        lab.Deliver(1, 2);
        lab.Read(1, 8);
        lab.Deliver(2, 1);
        Assert.Equal([7UL], lab.Granted.Select(static g => g.Grant.RequestId));
    }

    [Fact]
    public void The_same_request_id_asked_again_is_a_new_read()
    {
        // A retry that took the answer to the first try for its own was a stale read in a system of this kind.
        Lab lab = new(3);
        lab.Elect(1);
        lab.Read(1, 7);
        lab.Deliver(1, 2);
        lab.Deliver(2, 1);
        Assert.Single(lab.Granted);
        lab.Read(1, 7);
        lab.Deliver(1, 2, 0);
        Assert.Single(lab.Granted);
        lab.Settle();
        Assert.Equal(2, lab.Granted.Count);
    }

    [Fact]
    public void Reads_asked_before_one_Ready_share_one_round_of_heartbeats()
    {
        Lab lab = new(3);
        lab.Elect(1);
        for (ulong id = 1; id <= 100; id++)
        {
            lab[1].RequestRead(id);
        }

        lab.Pump(1);
        Assert.Single(lab.InFlight(1, 2));
        lab.Settle();
        Assert.Equal(100, lab.Granted.Count);
    }

    [Fact]
    public void A_read_does_not_get_stuck_when_its_heartbeats_are_lost()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Read(1, 7);
        lab.DropAll(1);
        lab.Tick(1, 5);
        lab.Settle();
        Assert.Single(lab.Granted);
    }

    [Fact]
    public void A_new_leader_grants_no_read_before_its_own_entry_is_committed()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        lab.Deliver(1, 2);
        lab.Sync(2);
        lab.Sync(1);
        lab.Deliver(2, 1);
        // "a" is committed and n2, which does not know it, becomes leader.
        Assert.Equal(new LogIndex(2), lab[1].CommitIndex);
        lab.DropAll(1);
        lab.Win(2, 3);
        Assert.Equal(new LogIndex(1), lab[2].CommitIndex);
        lab.Read(2, 7);
        lab.Deliver(2, 3);
        lab.Deliver(3, 2);
        Assert.Empty(lab.Granted);
        lab.Settle(1);
        Assert.Equal((2UL, new ReadGrant(7, new(3))), Assert.Single(lab.Granted));
    }

    [Fact]
    public void All_reads_fail_when_the_leader_changes()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Read(1, 7);
        lab.Read(2, 8);
        lab.Receive(1, new AppendEntriesResponse { From = new(3), To = new(1), Term = new(4), IsRejected = true });
        lab.Receive(2, new AppendEntriesResponse { From = new(3), To = new(2), Term = new(4), IsRejected = true });
        Assert.Equal([(1UL, 7UL), (2UL, 8UL)], lab.Failed);
        lab.Settle();
        Assert.Empty(lab.Granted);
    }

    [Fact]
    public void Reads_fail_when_a_leader_steps_down_for_want_of_a_majority()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Read(1, 7);
        lab.DropAll(1);
        lab.Tick(1, 30);
        Assert.Equal([(1UL, 7UL)], lab.Failed);
    }

    [Fact]
    public void A_follower_gets_the_index_from_its_leader()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        lab.Settle();
        lab.Read(3, 7);
        lab.Settle(2);
        Assert.Equal((3UL, new ReadGrant(7, new(2))), Assert.Single(lab.Granted));
    }

    [Fact]
    public void A_follower_without_a_leader_fails_a_read_at_once_and_one_without_an_answer_after_an_election_timeout()
    {
        Lab lab = new(3);
        lab.Read(3, 7);
        Assert.Equal([(3UL, 7UL)], lab.Failed);
        lab.Elect(1);
        lab.Read(3, 8);
        lab.DropAll(3);
        for (int i = 0; i < 15; i++)
        {
            lab.Tick(1);
            lab.Tick(3);
            lab.Settle();
        }

        Assert.Equal([(3UL, 7UL), (3UL, 8UL)], lab.Failed);
    }

    [Fact]
    public void A_late_answer_to_an_earlier_read_of_a_follower_does_not_answer_a_later_one_not_even_after_a_restart()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Read(3, 7);
        lab.Settle(2);
        ReadIndexRequest first = new() { From = new(3), To = new(1), Term = new(1), Number = 0 };
        ulong[] numbers = new ulong[3];
        for (int i = 0; i < numbers.Length; i++)
        {
            lab.Crash(3);
            lab.Start(3);
            lab.Tick(1, 5);
            lab.Settle();
            lab.Read(3, 8);
            numbers[i] = lab.Last<ReadIndexRequest>(3, 1).Number;
            lab.DropAll(3);
        }

        Assert.Equal(3, numbers.Distinct().Count());
        Assert.DoesNotContain(first.Number, numbers);
        lab.Granted.Clear();
        lab.Receive(3, new ReadIndexResponse { From = new(1), To = new(3), Term = new(1), Number = numbers[0], Index = new(1) });
        Assert.Empty(lab.Granted);
    }

    [Fact]
    public void A_node_that_does_not_lead_refuses_a_forwarded_read()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Receive(2, new ReadIndexRequest { From = new(3), To = new(2), Term = new(1), Number = 5 });
        Assert.True(lab.Last<ReadIndexResponse>(2, 3).IsFailed);
    }

    [Fact]
    public void Reads_over_the_limit_fail_at_once()
    {
        Lab lab = new(3, new RaftOptions { Self = new(1), PendingReadsLimit = 2 });
        lab.Elect(1);
        lab.Read(1, 1);
        lab.Read(1, 2);
        lab.Read(1, 3);
        Assert.Equal([(1UL, 3UL)], lab.Failed);
        lab.Settle();
        lab.Read(1, 4);
        lab.Settle();
        Assert.Equal([1UL, 2, 4], lab.Granted.Select(static g => g.Grant.RequestId));
    }

    [Fact]
    public void While_membership_is_joint_a_read_needs_both_majorities()
    {
        Lab lab = new([1, 2, 3], [4, 5]);
        lab.Elect(1);
        lab.Change(1, [1, 4, 5]);
        lab.DropAll(2);
        lab.DropAll(3);
        Assert.True(lab[1].Membership.IsJoint);
        lab.Read(1, 7);
        lab.Drop(1, 2);
        lab.Drop(1, 3);
        lab.Deliver(1, 4);
        lab.Deliver(4, 1);
        lab.Deliver(1, 5);
        lab.Deliver(5, 1);
        Assert.Empty(lab.Granted);
        lab.Tick(1, 5);
        lab.Deliver(1, 2);
        lab.Deliver(2, 1);
        Assert.Single(lab.Granted);
    }

    [Fact]
    public void A_read_that_was_forwarded_waits_a_shortest_election_timeout_for_its_answer()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Read(3, 7);
        lab.Drop(3, 1);
        for (int i = 1; i <= 15; i++)
        {
            Assert.Empty(lab.Failed);
            lab.Tick(1);
            lab.Settle();
            lab.Tick(3);
        }

        Assert.Equal([(3UL, 7UL)], lab.Failed);
    }

    [Fact]
    public void A_follower_forwards_no_more_reads_than_the_limit()
    {
        Lab lab = new(3, new RaftOptions { Self = new(1), PendingReadsLimit = 2 });
        lab.Elect(1);
        lab.Read(3, 1);
        lab.Read(3, 2);
        Assert.Empty(lab.Failed);
        lab.Read(3, 3);
        Assert.Equal([(3UL, 3UL)], lab.Failed);
    }

    [Fact]
    public void A_leader_with_too_many_reads_tells_the_follower_that_asks_which_of_its_reads_failed()
    {
        // Of five voters a question alone proves nothing, so it has to wait.
        Lab lab = new(5, new RaftOptions { Self = new(1), PendingReadsLimit = 1 });
        lab.Elect(1);
        lab.Read(1, 1);
        lab.Drop(1, 3);
        lab.Receive(1, new ReadIndexRequest { From = new(3), To = new(1), Term = new(1), Number = 77 });
        ReadIndexResponse answer = lab.Last<ReadIndexResponse>(1, 3);
        Assert.Equal((true, 77UL, new Term(1)), (answer.IsFailed, answer.Number, answer.Term));
    }

    [Fact]
    public void A_read_of_the_only_voter_that_came_before_its_own_entry_was_durable_is_granted_then()
    {
        Lab lab = new(1);
        lab.Tick(1);
        lab.SyncOne(1);
        Assert.Equal((RaftRole.Leader, LogIndex.Zero), (lab[1].Role, lab[1].CommitIndex));
        lab.Read(1, 7);
        Assert.Empty(lab.Granted);
        lab.Sync(1);
        Assert.Equal((1UL, new ReadGrant(7, new(1))), Assert.Single(lab.Granted));
    }
}
