using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>The conditions of a vote one by one, and what a vote does to whoever gives it.</summary>
public sealed class VoteRuleTests
{
    [Fact]
    public void A_vote_in_a_term_that_was_known_before_is_persisted_before_it_is_given()
    {
        // The rise of the term is on disk already, so it is the vote alone that has to be written.
        Lab lab = new(3);
        Learn(lab, 2, 4);
        lab.Sync(2);
        lab.Receive(2, Ask(from: 3, term: 4));
        Assert.Equal(new NodeId(3), lab[2].VotedFor);
        Assert.Empty(lab.InFlight(2, 3));
        lab.Sync(2);
        Assert.Equal(new HardState(new(4), new(3), default), lab.Node(2).DiskHardState);
        Assert.True(lab.Last<RequestVoteResponse>(2, 3).IsGranted);
        lab.Crash(2);
        lab.Start(2);
        lab.Tick(2, 15);
        lab.Receive(2, Ask(from: 1, term: 4));
        lab.Sync(2);
        Assert.False(lab.Last<RequestVoteResponse>(2, 1).IsGranted);
    }

    [Fact]
    public void The_same_vote_asked_for_again_is_given_again_without_a_write()
    {
        Lab lab = new(3);
        lab.Receive(2, Ask(from: 3, term: 4));
        lab.Sync(2);
        lab.Drop(2, 3);
        lab.Receive(2, Ask(from: 3, term: 4));
        Assert.False(lab.Node(2).HasUnsynced);
        Assert.True(lab.Last<RequestVoteResponse>(2, 3).IsGranted);
    }

    [Fact]
    public void A_question_of_an_earlier_term_gets_no_vote_even_of_a_node_that_has_given_none()
    {
        Lab lab = new(3);
        Learn(lab, 2, 4);
        lab.Sync(2);
        lab.Receive(2, Ask(from: 3, term: 2));
        AssertRefused(lab, 2, 3, term: 4);
        Assert.True(lab[2].VotedFor.IsNone);
    }

    [Fact]
    public void A_late_question_of_an_earlier_term_gets_no_vote_even_for_whom_the_node_has_voted_now()
    {
        Lab lab = new(3);
        lab.Receive(2, Ask(from: 3, term: 4));
        lab.Sync(2);
        lab.Drop(2, 3);
        lab.Receive(2, Ask(from: 3, term: 3));
        AssertRefused(lab, 2, 3, term: 4);
    }

    [Fact]
    public void In_a_term_that_has_a_leader_nobody_else_gets_a_vote()
    {
        Lab lab = new(3);
        lab.Receive(2, new Heartbeat { From = new(1), To = new(2), Term = new(4) });
        lab.Sync(2);
        Assert.True(lab[2].VotedFor.IsNone);
        lab.Receive(2, Ask(from: 3, term: 4));
        lab.Sync(2);
        Assert.True(lab[2].VotedFor.IsNone);
        AssertRefused(lab, 2, 3, term: 4);
    }

    [Fact]
    public void A_PreVote_is_of_a_coming_term_even_for_whom_the_node_has_voted()
    {
        Lab lab = new(3);
        lab.Receive(2, Ask(from: 3, term: 4));
        lab.Sync(2);
        lab.Drop(2, 3);
        lab.Receive(2, Ask(from: 3, term: 4, isPreVote: true));
        AssertRefused(lab, 2, 3, term: 4);
        lab.Receive(2, Ask(from: 3, term: 5, isPreVote: true));
        Assert.True(lab.Last<RequestVoteResponse>(2, 3).IsGranted);
    }

    [Fact]
    public void A_PreVote_is_answered_without_waiting_for_the_disk()
    {
        Lab lab = new(3);
        Learn(lab, 2, 4);
        Assert.True(lab.Node(2).HasUnsynced);
        lab.Receive(2, Ask(from: 3, term: 5, isPreVote: true));
        Assert.True(lab.Last<RequestVoteResponse>(2, 3).IsGranted);
    }

    [Fact]
    public void A_PreVote_of_an_earlier_round_counts_for_nothing()
    {
        Lab lab = new(3);
        lab.Campaign(1);
        Learn(lab, 1, 4);
        lab.Settle(2, 3);
        lab.Campaign(1);
        Assert.Equal(RaftRole.PreCandidate, lab[1].Role);
        lab.Receive(1, Granted(from: 2, term: 4, isPreVote: true));
        Assert.Equal(RaftRole.PreCandidate, lab[1].Role);
        lab.Receive(1, Granted(from: 2, term: 5, isPreVote: true));
        Assert.Equal(RaftRole.Candidate, lab[1].Role);
    }

    [Fact]
    public void Learners_are_not_asked()
    {
        Lab lab = new([1, 2], [3]);
        lab.Campaign(1);
        Assert.Single(lab.InFlight(1, 2));
        Assert.Empty(lab.InFlight(1, 3));
    }

    [Fact]
    public void Whoever_gives_a_vote_waits_a_whole_timeout_before_it_stands_itself()
    {
        Lab lab = new(3, new RaftOptions { Self = new(1), ElectionTimeoutMinTicks = 15, ElectionTimeoutMaxTicks = 15 });
        lab.Tick(2, 14);
        lab.Receive(2, Ask(from: 3, term: 1));
        lab.Tick(2, 14);
        Assert.Equal(RaftRole.Follower, lab[2].Role);
        lab.Tick(2);
        Assert.Equal(RaftRole.PreCandidate, lab[2].Role);
    }

    [Fact]
    public void Whoever_stands_waits_a_whole_timeout_before_it_asks_again()
    {
        Lab lab = new(3, new RaftOptions { Self = new(1), ElectionTimeoutMinTicks = 15, ElectionTimeoutMaxTicks = 15 });
        lab.Tick(1, 15);
        Assert.Single(lab.InFlight(1, 2));
        lab.Tick(1, 14);
        Assert.Single(lab.InFlight(1, 2));
        lab.Receive(1, Granted(from: 2, term: 1, isPreVote: true));
        Assert.Equal(RaftRole.Candidate, lab[1].Role);
        lab.Sync(1);
        lab.Tick(1, 14);
        Assert.Equal((RaftRole.Candidate, new Term(1)), (lab[1].Role, lab[1].Term));
        lab.Tick(1);
        Assert.Equal((RaftRole.PreCandidate, new Term(1)), (lab[1].Role, lab[1].Term));
    }

    [Fact]
    public void A_new_leader_has_a_whole_timeout_to_hear_from_a_majority()
    {
        Lab lab = new(3, new RaftOptions { Self = new(1), ElectionTimeoutMinTicks = 15, ElectionTimeoutMaxTicks = 15 });
        lab.Tick(1, 15);
        lab.Receive(1, Granted(from: 2, term: 1, isPreVote: true));
        lab.Sync(1);
        lab.Tick(1, 10);
        lab.Receive(1, Granted(from: 2, term: 1, isPreVote: false));
        Assert.Equal(RaftRole.Leader, lab[1].Role);
        // Members count as heard from until the first check.
        lab.Tick(1, 29);
        Assert.Equal(RaftRole.Leader, lab[1].Role);
        lab.Tick(1);
        Assert.Equal(RaftRole.Follower, lab[1].Role);
    }

    [Fact]
    public void Reads_fail_when_a_follower_gives_up_its_leader()
    {
        Lab lab = new(3);
        lab.Elect(1);
        ulong asked = 0;
        while (lab[2].Role == RaftRole.Follower && asked < 100)
        {
            lab[2].RequestRead(asked++);
            lab.Tick(2);
        }

        // Those of the last ticks have not waited long enough to fail by themselves.
        Assert.Equal(RaftRole.PreCandidate, lab[2].Role);
        Assert.Equal(asked, (ulong)lab.Failed.Count);
    }

    [Fact]
    public void The_only_voter_is_elected_by_being_told_to()
    {
        Lab lab = new([1], [2]);
        lab.Campaign(1);
        Assert.Equal(RaftRole.Candidate, lab[1].Role);
        lab.Sync(1);
        Assert.Equal((RaftRole.Leader, new Term(1)), (lab[1].Role, lab[1].Term));
    }

    private static RequestVote Ask(ulong from, ulong term, bool isPreVote = false) => new()
    {
        From = new(from),
        To = new(2),
        Term = new(term),
        IsPreVote = isPreVote,
        LastIndex = new(9),
        LastTerm = new(1),
    };

    private static RequestVoteResponse Granted(ulong from, ulong term, bool isPreVote) => new()
    {
        From = new(from),
        To = new(1),
        Term = new(term),
        IsPreVote = isPreVote,
        IsGranted = true,
    };

    /// <summary>A node hears of a term, and of nothing else.</summary>
    private static void Learn(Lab lab, ulong node, ulong term)
    {
        lab.Receive(node, new AppendEntriesResponse
        {
            From = new(node == 3 ? 1UL : 3UL),
            To = new(node),
            Term = new(term),
            IsRejected = true,
        });
        Assert.Equal(new Term(term), lab[node].Term);
    }

    private static void AssertRefused(Lab lab, ulong from, ulong to, ulong term)
    {
        lab.Sync(from);
        RequestVoteResponse answer = lab.Last<RequestVoteResponse>(from, to);
        Assert.Equal((false, new Term(term)), (answer.IsGranted, answer.Term));
    }
}
