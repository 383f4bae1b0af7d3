using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>The sentences of figure 2 of the Raft paper, one by one.</summary>
public sealed class Figure2Tests
{
    private static Entry Entry(ulong term, ulong index) => new(new LogIndex(index), new Term(term), EntryKind.Normal, new byte[] { 1 });

    private static AppendEntries Append(ulong term, ulong prevTerm, ulong prevIndex, ulong commit, params Entry[] entries) => new()
    {
        From = new(2),
        To = new(1),
        Term = new(term),
        PrevTerm = new(prevTerm),
        PrevIndex = new(prevIndex),
        Commit = new(commit),
        Entries = entries,
    };

    private static RequestVote Vote(ulong from, ulong term, ulong lastTerm, ulong lastIndex) => new()
    {
        From = new(from),
        To = new(1),
        Term = new(term),
        LastTerm = new(lastTerm),
        LastIndex = new(lastIndex),
    };

    /// <summary>A follower in term 2 with the log 1/1, 1/2, 2/3, of which 1 is committed, and which hears no leader.</summary>
    private static Lab FollowerWithLog()
    {
        Lab lab = new(3);
        lab.Receive(1, Append(2, 0, 0, 1, Entry(1, 1), Entry(1, 2), Entry(2, 3)));
        lab.Sync(1);
        lab.DropAll(1);
        lab.Tick(1, 15);
        lab.DropAll(1);
        return lab;
    }

    // Persistent state.

    [Fact]
    public void Term_and_vote_are_persisted_before_answering()
    {
        Lab lab = FollowerWithLog();
        lab.Receive(1, Vote(2, 3, 2, 3));
        Assert.Empty(lab.InFlight(1, 2));
        lab.Sync(1);
        Assert.True(lab.Last<RequestVoteResponse>(1, 2).IsGranted);
        Assert.Equal(new HardState(new(3), new(2), new(1)), lab.Node(1).DiskHardState);
    }

    [Fact]
    public void Entries_are_persisted_before_answering()
    {
        Lab lab = FollowerWithLog();
        lab.Receive(1, Append(2, 2, 3, 1, Entry(2, 4)));
        Assert.Empty(lab.InFlight(1, 2));
        lab.Sync(1);
        Assert.Equal(new LogIndex(4), lab.Last<AppendEntriesResponse>(1, 2).Index);
        Assert.Equal(new LogIndex(4), lab.Node(1).DiskLog.LastIndex);
    }

    // AppendEntries, receiver.

    [Fact]
    public void AppendEntries_1_replies_false_if_the_term_is_old()
    {
        Lab lab = FollowerWithLog();
        lab.Receive(1, Append(1, 2, 3, 3));
        AppendEntriesResponse answer = lab.Last<AppendEntriesResponse>(1, 2);
        Assert.True(answer.IsRejected);
        Assert.Equal(new Term(2), answer.Term);
        Assert.Equal(new LogIndex(1), lab[1].CommitIndex);
    }

    [Theory]
    [InlineData(2UL, 5UL)]
    [InlineData(1UL, 3UL)]
    public void AppendEntries_2_replies_false_if_there_is_no_entry_at_prev_of_that_term(ulong prevTerm, ulong prevIndex)
    {
        Lab lab = FollowerWithLog();
        lab.Receive(1, Append(3, prevTerm, prevIndex, 0, Entry(3, prevIndex + 1)));
        Assert.True(lab.Last<AppendEntriesResponse>(1, 2).IsRejected);
        Assert.Equal(new LogIndex(3), lab[1].LastIndex);
    }

    [Fact]
    public void AppendEntries_3_deletes_a_conflicting_entry_and_all_that_follow_it()
    {
        Lab lab = FollowerWithLog();
        lab.Receive(1, Append(3, 1, 1, 0, Entry(3, 2)));
        lab.Sync(1);
        Assert.Equal(new LogIndex(2), lab[1].LastIndex);
        Assert.Equal(new Term(3), lab[1].TermAt(new(2)));
        Assert.Equal(new LogIndex(2), lab.Node(1).DiskLog.LastIndex);
    }

    [Fact]
    public void AppendEntries_3_deletes_nothing_that_agrees_even_if_the_message_is_short()
    {
        // A late copy of an early append must not cut off what came after it.
        Lab lab = FollowerWithLog();
        lab.Receive(1, Append(2, 1, 1, 0, Entry(1, 2)));
        Assert.Equal(new LogIndex(3), lab[1].LastIndex);
        Assert.Equal(new LogIndex(2), lab.Last<AppendEntriesResponse>(1, 2).Index);
    }

    [Fact]
    public void AppendEntries_4_appends_what_is_new()
    {
        Lab lab = FollowerWithLog();
        lab.Receive(1, Append(2, 1, 2, 0, Entry(2, 3), Entry(2, 4), Entry(2, 5)));
        Assert.Equal(new LogIndex(5), lab[1].LastIndex);
    }

    [Theory]
    [InlineData(2UL, 2UL)]
    [InlineData(9UL, 4UL)]
    public void AppendEntries_5_commits_min_of_the_leaders_commit_and_the_last_new_entry(ulong leaderCommit, ulong expected)
    {
        Lab lab = FollowerWithLog();
        lab.Receive(1, Append(2, 2, 3, leaderCommit, Entry(2, 4)));
        Assert.Equal(new LogIndex(expected), lab[1].CommitIndex);
    }

    [Fact]
    public void AppendEntries_5_commits_nothing_behind_the_message_even_if_the_log_is_longer()
    {
        Lab lab = FollowerWithLog();
        lab.Receive(1, Append(3, 1, 2, 9));
        // Entry 3 may be one that the leader does not have.
        Assert.Equal(new LogIndex(2), lab[1].CommitIndex);
    }

    // RequestVote, receiver.

    [Fact]
    public void RequestVote_1_replies_false_if_the_term_is_old()
    {
        Lab lab = FollowerWithLog();
        lab.Receive(1, Vote(2, 1, 9, 9));
        lab.Sync(1);
        RequestVoteResponse answer = lab.Last<RequestVoteResponse>(1, 2);
        Assert.False(answer.IsGranted);
        Assert.Equal(new Term(2), answer.Term);
    }

    [Fact]
    public void RequestVote_2_grants_one_vote_a_term_first_come_first_served()
    {
        Lab lab = FollowerWithLog();
        lab.Receive(1, Vote(2, 3, 2, 3));
        lab.Receive(1, Vote(3, 3, 2, 3));
        lab.Receive(1, Vote(2, 3, 2, 3));
        lab.Sync(1);
        Assert.All(lab.InFlight(1, 2).Cast<RequestVoteResponse>(), static m => Assert.True(m.IsGranted));
        Assert.Equal(2, lab.InFlight(1, 2).Count);
        Assert.False(lab.Last<RequestVoteResponse>(1, 3).IsGranted);
    }

    [Fact]
    public void RequestVote_2_a_vote_is_remembered_over_a_restart()
    {
        Lab lab = FollowerWithLog();
        lab.Receive(1, Vote(2, 3, 2, 3));
        lab.Sync(1);
        lab.Crash(1);
        lab.Start(1);
        lab.Receive(1, Vote(3, 3, 2, 3));
        lab.Sync(1);
        Assert.False(lab.Last<RequestVoteResponse>(1, 3).IsGranted);
    }

    [Theory]
    [InlineData(1UL, 9UL, false)]
    [InlineData(2UL, 2UL, false)]
    [InlineData(2UL, 3UL, true)]
    [InlineData(2UL, 4UL, true)]
    [InlineData(3UL, 1UL, true)]
    public void RequestVote_2_grants_only_if_the_candidates_log_is_up_to_date(ulong lastTerm, ulong lastIndex, bool isGranted)
    {
        Lab lab = FollowerWithLog();
        lab.Receive(1, Vote(2, 4, lastTerm, lastIndex));
        lab.Sync(1);
        Assert.Equal(isGranted, lab.Last<RequestVoteResponse>(1, 2).IsGranted);
    }

    // Rules for servers.

    [Fact]
    public void All_servers_apply_what_is_committed_in_order()
    {
        Lab lab = new(3);
        lab.Elect(1);
        foreach (string data in new[] { "a", "b", "c" })
        {
            lab.Propose(1, data);
        }

        lab.Settle();
        Assert.Equal(["a", "b", "c"], lab.Applied[1]);
        Assert.Equal(["a", "b", "c"], lab.Applied[2]);
        Assert.Equal(["a", "b", "c"], lab.Applied[3]);
    }

    [Fact]
    public void All_servers_take_over_a_higher_term_and_become_followers()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Receive(1, new AppendEntriesResponse { From = new(2), To = new(1), Term = new(9), IsRejected = true });
        Assert.Equal(RaftRole.Follower, lab[1].Role);
        Assert.Equal(new Term(9), lab[1].Term);
        Assert.True(lab[1].Leader.IsNone);
    }

    [Fact]
    public void Followers_become_candidates_when_the_election_timeout_passes_without_a_leader()
    {
        Lab lab = new(3);
        lab.Tick(1, 14);
        Assert.Equal(RaftRole.Follower, lab[1].Role);
        lab.Tick(1, 16);
        Assert.Equal(RaftRole.PreCandidate, lab[1].Role);
    }

    [Fact]
    public void Followers_stay_followers_while_they_hear_a_leader()
    {
        Lab lab = new(3);
        lab.Elect(1);
        for (int i = 0; i < 100; i++)
        {
            lab.Tick(1);
            lab.Tick(2);
            lab.Tick(3);
            lab.Settle();
        }

        Assert.Equal(new Term(1), lab[2].Term);
        Assert.Equal(RaftRole.Follower, lab[2].Role);
    }

    [Fact]
    public void Candidates_raise_their_term_vote_for_themselves_and_ask_the_others()
    {
        Lab lab = new(3);
        lab.Campaign(1);
        lab.Deliver(1, 2);
        lab.Deliver(2, 1);
        Assert.Equal(RaftRole.Candidate, lab[1].Role);
        Assert.Equal(new Term(1), lab[1].Term);
        Assert.Equal(new NodeId(1), lab[1].VotedFor);
        lab.Sync(1);
        Assert.False(lab.Last<RequestVote>(1, 2).IsPreVote);
        Assert.False(lab.Last<RequestVote>(1, 3).IsPreVote);
    }

    [Fact]
    public void Candidates_become_leaders_with_the_votes_of_a_majority_and_not_before()
    {
        Lab lab = new(5);
        lab.Campaign(1);
        lab.Deliver(1, 2);
        lab.Deliver(1, 3);
        lab.Deliver(2, 1);
        lab.Deliver(3, 1);
        lab.Sync(1);
        lab.Deliver(1, 2);
        lab.Sync(2);
        lab.Deliver(2, 1);
        Assert.Equal(RaftRole.Candidate, lab[1].Role);
        lab.Deliver(1, 3);
        lab.Sync(3);
        lab.Deliver(3, 1);
        Assert.Equal(RaftRole.Leader, lab[1].Role);
    }

    [Fact]
    public void Candidates_become_followers_when_they_hear_a_leader_of_their_term()
    {
        Lab lab = new(3);
        lab.Campaign(1);
        lab.Deliver(1, 2);
        lab.Deliver(2, 1);
        lab.Receive(1, Append(1, 0, 0, 0, Entry(1, 1)));
        Assert.Equal(RaftRole.Follower, lab[1].Role);
        Assert.Equal(new NodeId(2), lab[1].Leader);
    }

    [Fact]
    public void Candidates_start_a_new_election_when_none_wins()
    {
        Lab lab = new(3);
        lab.Campaign(1);
        lab.Deliver(1, 2);
        lab.Deliver(2, 1);
        lab.Sync(1);
        lab.DropAll(1);
        lab.Tick(1, 30);
        Assert.Equal(RaftRole.PreCandidate, lab[1].Role);
        Assert.Equal(new Term(1), lab[1].Term);
        Assert.Equal(new Term(2), lab.Last<RequestVote>(1, 2).Term);
    }

    [Fact]
    public void Election_timeouts_are_random_between_their_bounds()
    {
        HashSet<int> seen = [];
        for (ulong seed = 1; seed <= 200; seed++)
        {
            RaftGroup group = new(
                new RaftOptions { Self = new(1) },
                new MemoryRaftLog(),
                new RestoredState { Membership = new([new(1), new(2), new(3)]) },
                new SplitMix64Random(seed));
            int ticks = 0;
            while (group.Role == RaftRole.Follower)
            {
                group.Tick();
                ticks++;
            }

            Assert.InRange(ticks, 15, 30);
            seen.Add(ticks);
        }

        Assert.Equal(16, seen.Count);
    }

    [Fact]
    public void Leaders_send_heartbeats_at_once_and_again_and_again()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Tick(1, 5);
        Assert.Single(lab.InFlight(1, 2).OfType<Heartbeat>());
        lab.Tick(1, 10);
        Assert.Equal(3, lab.InFlight(1, 2).OfType<Heartbeat>().Count());
    }

    [Fact]
    public void Leaders_retry_until_all_followers_have_all_entries()
    {
        Lab lab = new(3);
        lab.Elect(1);
        for (int i = 0; i < 20; i++)
        {
            lab.Propose(1, $"{i}");
            lab.Drop(1, 3);
        }

        lab.Settle(3);
        Assert.Equal(20, lab.Applied[1].Count);
        lab.Tick(1, 5);
        lab.Settle();
        Assert.Equal(lab.Applied[1], lab.Applied[3]);
    }

    [Fact]
    public void Leaders_do_not_overwrite_or_delete_entries_of_their_own()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        LogIndex last = lab[1].LastIndex;
        InvariantBrokenException broken = Assert.Throws<InvariantBrokenException>(() => lab.Receive(1, Append(1, 0, 0, 0, Entry(1, 1))));
        Assert.Contains("two leaders in one term", broken.Message, StringComparison.Ordinal);
        Assert.Equal(last, lab[1].LastIndex);
    }
}
