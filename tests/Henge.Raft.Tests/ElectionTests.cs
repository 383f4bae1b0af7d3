using Henge.Core;

namespace Henge.Raft.Tests;

public sealed class ElectionTests
{
    [Fact]
    public void A_PreVote_changes_neither_term_nor_vote_of_anyone()
    {
        Lab lab = new(3);
        lab.Campaign(1);
        lab.Deliver(1, 2);
        lab.Deliver(1, 3);
        Assert.True(lab.Last<RequestVoteResponse>(2, 1).IsGranted);
        for (ulong node = 1; node <= 3; node++)
        {
            Assert.Equal(Term.Zero, lab[node].Term);
            Assert.True(lab[node].VotedFor.IsNone);
            Assert.False(lab.Node(node).HasUnsynced);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(25)]
    public void A_node_stands_for_election_after_its_timeout_and_its_delay(int delayTicks)
    {
        Lab lab = new(
            3,
            new RaftOptions
            {
                Self = new(1),
                ElectionTimeoutMinTicks = 15,
                ElectionTimeoutMaxTicks = 20,
                ElectionDelayTicks = delayTicks,
            });
        for (ulong node = 1; node <= 3; node++)
        {
            lab.Tick(node, delayTicks + 14);
            Assert.Equal(RaftRole.Follower, lab[node].Role);
            lab.Tick(node, 6);
            Assert.Equal(RaftRole.PreCandidate, lab[node].Role);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    public void Aligned_heartbeats_come_at_the_same_ticks_whenever_the_leader_was_elected(int ticksBefore)
    {
        Lab lab = new(3, new RaftOptions { Self = new(1), AlignHeartbeats = true });
        lab.Tick(1, ticksBefore);
        int ticks = ticksBefore;
        for (; lab[1].Role == RaftRole.Follower; ticks++)
        {
            lab.Tick(1);
        }

        lab.Settle();
        Assert.Equal(RaftRole.Leader, lab[1].Role);
        for (int beats = 0; beats < 5;)
        {
            lab.DropAll(1);
            lab.Tick(1);
            bool isBeat = lab.InFlight(1, 2).OfType<Heartbeat>().Any();
            Assert.Equal(++ticks % 5 == 0, isBeat);
            beats += isBeat ? 1 : 0;
            lab.Settle();
        }
    }

    [Fact]
    public void A_granted_PreVote_of_a_coming_term_does_not_change_the_term_of_its_receiver()
    {
        Lab lab = new(3);
        lab.Receive(1, new RequestVoteResponse { From = new(2), To = new(1), Term = new(7), IsPreVote = true, IsGranted = true });
        Assert.Equal(Term.Zero, lab[1].Term);
        Assert.Equal(RaftRole.Follower, lab[1].Role);
    }

    [Fact]
    public void A_PreVote_of_a_lower_term_is_answered_with_the_term_that_the_asker_missed()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Receive(
            1,
            new RequestVote
            {
                From = new(3),
                To = new(1),
                Term = new(0),
                IsPreVote = true,
                LastIndex = new(9),
                LastTerm = new(9),
            });
        RequestVoteResponse answer = lab.Last<RequestVoteResponse>(1, 3);
        Assert.False(answer.IsGranted);
        Assert.Equal(new Term(1), answer.Term);
    }

    [Fact]
    public void A_refused_PreVote_of_a_higher_term_brings_the_asker_up_to_that_term()
    {
        Lab lab = new(3);
        lab.Campaign(1);
        lab.Receive(1, new RequestVoteResponse { From = new(2), To = new(1), Term = new(7), IsPreVote = true, IsGranted = false });
        Assert.Equal(new Term(7), lab[1].Term);
        Assert.Equal(RaftRole.Follower, lab[1].Role);
    }

    [Fact]
    public void A_node_that_was_cut_off_does_not_raise_its_term_and_does_not_disturb_when_it_is_back()
    {
        Lab lab = new(3);
        lab.Elect(1);
        for (int i = 0; i < 300; i++)
        {
            lab.Tick(1);
            lab.Tick(2);
            lab.Tick(3);
            lab.Settle(3);
        }

        Assert.Equal(new Term(1), lab[3].Term);
        lab.Tick(3, 30);
        lab.Settle();
        Assert.Equal(RaftRole.Leader, lab[1].Role);
        Assert.Equal(new Term(1), lab[1].Term);
    }

    [Fact]
    public void A_follower_that_hears_its_leader_ignores_votes_and_refuses_PreVotes_of_higher_terms()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Receive(2, new RequestVote { From = new(3), To = new(2), Term = new(5), LastIndex = new(99), LastTerm = new(4) });
        Assert.Equal(new Term(1), lab[2].Term);
        Assert.Empty(lab.InFlight(2, 3));
        lab.Receive(
            2,
            new RequestVote
            {
                From = new(3),
                To = new(2),
                Term = new(5),
                IsPreVote = true,
                LastIndex = new(99),
                LastTerm = new(4),
            });
        Assert.False(lab.Last<RequestVoteResponse>(2, 3).IsGranted);
    }

    [Fact]
    public void The_promise_to_a_leader_ends_with_the_shortest_election_timeout()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Tick(1, 5);
        lab.Deliver(1, 2);
        RequestVote vote = new() { From = new(3), To = new(2), Term = new(5), LastIndex = new(99), LastTerm = new(4) };
        lab.Tick(2, 14);
        lab.Receive(2, vote);
        Assert.Equal(new Term(1), lab[2].Term);
        lab.Tick(2);
        lab.Receive(2, vote);
        Assert.Equal(new Term(5), lab[2].Term);
    }

    [Fact]
    public void The_promise_to_a_leader_outlives_a_change_of_term()
    {
        // Otherwise a late refusal could free a node from what a lease rests on.
        Lab lab = new(3);
        lab.Elect(1);
        lab.Tick(1, 5);
        lab.Deliver(1, 2);
        lab.Receive(2, new RequestVoteResponse { From = new(3), To = new(2), Term = new(2), IsPreVote = true });
        Assert.Equal(new Term(2), lab[2].Term);
        lab.Receive(2, new RequestVote { From = new(3), To = new(2), Term = new(3), LastIndex = new(99), LastTerm = new(2) });
        Assert.Equal(new Term(2), lab[2].Term);
    }

    [Fact]
    public void A_node_of_a_higher_term_answers_an_old_leader_which_steps_down()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Receive(3, new AppendEntriesResponse { From = new(2), To = new(3), Term = new(8), IsRejected = true });
        lab.DropAll(3);
        lab.Tick(1, 5);
        lab.Deliver(1, 3);
        Assert.Equal(new Term(8), lab.Last<AppendEntriesResponse>(3, 1).Term);
        lab.Deliver(3, 1);
        Assert.Equal(RaftRole.Follower, lab[1].Role);
        Assert.Equal(new Term(8), lab[1].Term);
    }

    [Fact]
    public void A_leader_that_no_majority_answers_steps_down_without_changing_its_term()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Tick(1, 30);
        Assert.Equal(RaftRole.Follower, lab[1].Role);
        Assert.Equal(new Term(1), lab[1].Term);
    }

    [Fact]
    public void A_leader_that_a_majority_answers_stays()
    {
        Lab lab = new(3);
        lab.Elect(1);
        for (int i = 0; i < 100; i++)
        {
            lab.Tick(1);
            lab.Settle(3);
        }

        Assert.Equal(RaftRole.Leader, lab[1].Role);
    }

    [Fact]
    public void Learners_do_not_count_when_a_leader_checks_its_quorum()
    {
        Lab lab = new([1, 2, 3], [4, 5]);
        lab.Elect(1);
        for (int i = 0; i < 40; i++)
        {
            lab.Tick(1);
            lab.Settle(2, 3);
        }

        Assert.Equal(RaftRole.Follower, lab[1].Role);
    }

    [Fact]
    public void A_candidates_own_vote_counts_only_when_it_is_durable()
    {
        Lab lab = new(2);
        lab.Campaign(1);
        lab.Deliver(1, 2);
        lab.Deliver(2, 1);
        // Nothing of the candidacy is known outside before the sync.
        Assert.Empty(lab.InFlight(1, 2));
        Assert.Equal(RaftRole.Candidate, lab[1].Role);
        lab.Sync(1);
        lab.Deliver(1, 2);
        lab.Sync(2);
        lab.Deliver(2, 1);
        Assert.Equal(RaftRole.Leader, lab[1].Role);
    }

    [Fact]
    public void A_candidate_that_boasts_of_entries_asks_for_votes_only_when_they_are_durable()
    {
        Lab lab = new(3);
        lab.Receive(
            1,
            new AppendEntries
            {
                From = new(2),
                To = new(1),
                Term = new(1),
                Entries = new[] { new Entry(new(1), new(1), EntryKind.Normal, new byte[3]) },
            });
        lab.Tick(1, 30);
        lab.Deliver(1, 3);
        lab.Deliver(3, 1);
        Assert.Equal(RaftRole.Candidate, lab[1].Role);
        // The first write holds the entry, the second one the vote.
        lab.SyncOne(1);
        Assert.DoesNotContain(lab.InFlight(1, 3).OfType<RequestVote>(), static m => !m.IsPreVote);
        lab.SyncOne(1);
        Assert.Equal(new LogIndex(1), lab.Last<RequestVote>(1, 3).LastIndex);
    }

    [Fact]
    public void The_only_voter_leads_from_its_first_tick_and_commits_by_itself()
    {
        Lab lab = new(1);
        lab.Tick(1);
        lab.Sync(1);
        Assert.Equal(RaftRole.Leader, lab[1].Role);
        lab.Sync(1);
        lab.Propose(1, "a");
        Assert.Empty(lab.Applied[1]);
        lab.Sync(1);
        Assert.Equal(["a"], lab.Applied[1]);
        lab.Read(1, 7);
        Assert.Equal((1UL, new ReadGrant(7, new(2))), Assert.Single(lab.Granted));
    }

    [Fact]
    public void Campaign_does_nothing_at_a_node_that_hears_its_leader_or_has_no_vote()
    {
        Lab lab = new([1, 2, 3], [4]);
        lab.Elect(1);
        lab.Campaign(2);
        lab.Campaign(4);
        lab.Campaign(1);
        Assert.Equal(RaftRole.Follower, lab[2].Role);
        Assert.Equal(RaftRole.Follower, lab[4].Role);
        Assert.Equal(RaftRole.Leader, lab[1].Role);
    }

    [Fact]
    public void A_learner_never_campaigns()
    {
        Lab lab = new([1, 2], [3]);
        lab.Tick(3, 200);
        Assert.Equal(RaftRole.Follower, lab[3].Role);
    }

    [Fact]
    public void Messages_to_others_and_from_oneself_are_ignored()
    {
        Lab lab = new(3);
        lab[1].Receive(new RequestVote { From = new(2), To = new(3), Term = new(5) });
        lab[1].Receive(new RequestVote { From = new(1), To = new(1), Term = new(5) });
        Assert.Equal(Term.Zero, lab[1].Term);
    }

    [Fact]
    public void A_vote_counts_once_however_often_it_arrives()
    {
        Lab lab = new(5);
        lab.Campaign(1);
        RequestVoteResponse granted = new() { From = new(2), To = new(1), Term = new(1), IsPreVote = true, IsGranted = true };
        lab.Receive(1, granted);
        lab.Receive(1, granted);
        lab.Receive(1, granted);
        Assert.Equal(RaftRole.PreCandidate, lab[1].Role);
    }

    [Fact]
    public void A_candidate_that_a_majority_refuses_gives_up_at_once()
    {
        Lab lab = new(3);
        lab.Campaign(1);
        lab.Receive(1, new RequestVoteResponse { From = new(2), To = new(1), Term = new(0), IsPreVote = true });
        Assert.Equal(RaftRole.PreCandidate, lab[1].Role);
        lab.Receive(1, new RequestVoteResponse { From = new(3), To = new(1), Term = new(0), IsPreVote = true });
        Assert.Equal(RaftRole.Follower, lab[1].Role);
    }

    [Fact]
    public void A_leader_is_there_after_two_timeouts_at_the_most_when_nodes_start_together()
    {
        // With ticks of 10 ms and the default 150 to 300 ms: within 500 ms, nearly always in the first timeout.
        int total = 0;
        for (ulong seed = 1; seed <= 100; seed++)
        {
            Lab lab = new(3);
            int ticks = 0;
            while (lab[1].Role != RaftRole.Leader && lab[2].Role != RaftRole.Leader && lab[3].Role != RaftRole.Leader)
            {
                lab.Tick(1 + (seed % 3));
                lab.Tick(1 + ((seed + 1) % 3));
                lab.Tick(1 + ((seed + 2) % 3));
                lab.Settle();
                ticks++;
            }

            Assert.InRange(ticks, 1, 50);
            total += ticks;
        }

        Assert.InRange(total / 100, 15, 30);
    }
}
