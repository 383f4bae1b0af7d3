using Henge.Core;

namespace Henge.Raft.Tests;

public sealed class ReplicationTests
{
    private static RaftOptions Options(
        long append = 256 * 1024,
        int messages = 256,
        long bytes = 8 << 20,
        long uncommitted = 32 << 20,
        long recent = 4 << 20,
        long apply = 4 << 20,
        long settled = 64 << 10) =>
        new()
        {
            Self = new(1),
            AppendLimitBytes = append,
            InflightLimitMessages = messages,
            InflightLimitBytes = bytes,
            UncommittedLimitBytes = uncommitted,
            RecentEntriesLimitBytes = recent,
            SettledEntriesLimitBytes = settled,
            ApplyLimitBytes = apply,
        };

    [Fact]
    public void A_leader_replicates_before_its_own_sync_but_counts_itself_only_after_it()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        Assert.Single(lab.Last<AppendEntries>(1, 2).Entries.ToArray());
        lab.Deliver(1, 2);
        lab.Sync(2);
        lab.Deliver(2, 1);
        Assert.Equal(new LogIndex(1), lab[1].CommitIndex);
        lab.Sync(1);
        Assert.Equal(new LogIndex(2), lab[1].CommitIndex);
    }

    [Fact]
    public void Followers_alone_commit_and_the_leader_applies_only_what_it_has_durably_itself()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        foreach (ulong follower in new ulong[] { 2, 3 })
        {
            lab.Deliver(1, follower);
            lab.Sync(follower);
            lab.Deliver(follower, 1);
        }

        Assert.Equal(new LogIndex(2), lab[1].CommitIndex);
        Assert.Empty(lab.Applied[1]);
        lab.Sync(1);
        Assert.Equal(["a"], lab.Applied[1]);
    }

    [Fact]
    public void What_was_proposed_since_the_last_Ready_goes_out_as_one_append()
    {
        Lab lab = new(3);
        lab.Elect(1);
        for (int i = 0; i < 10; i++)
        {
            Assert.True(lab[1].Propose(new byte[8]).IsAccepted);
        }

        lab.Pump(1);
        Assert.Equal(10, Assert.IsType<AppendEntries>(Assert.Single(lab.InFlight(1, 2))).Entries.Length);
        Assert.Equal(1, lab.Node(1).UnsyncedCount);
    }

    [Fact]
    public void A_batch_is_taken_whole_or_not_at_all()
    {
        Lab lab = new(3, Options(uncommitted: 200));
        lab.Elect(1);
        LogIndex last = lab[1].LastIndex;
        Assert.True(lab[1].Propose(new ReadOnlyMemory<byte>[] { new byte[30], new byte[30] }).IsAccepted);
        Assert.Equal(ProposeStatus.Busy, lab[1].Propose(new ReadOnlyMemory<byte>[] { new byte[30], new byte[90] }).Status);
        Assert.Equal(last.Value + 2, lab[1].LastIndex.Value);
    }

    [Fact]
    public void Appends_are_pipelined_up_to_a_window_of_messages()
    {
        Lab lab = new(3, Options(messages: 3));
        lab.Elect(1);
        for (int i = 0; i < 10; i++)
        {
            lab.Propose(1, "x");
        }

        Assert.Equal(3, lab.InFlight(1, 2).Count);
        lab.Settle();
        Assert.Equal(10, lab.Applied[2].Count);
    }

    [Fact]
    public void Appends_are_pipelined_up_to_a_window_of_bytes_and_one_always_fits()
    {
        Lab lab = new(3, Options(bytes: 50));
        lab.Elect(1);
        lab.Propose(1, new string('x', 500));
        lab.Propose(1, "y");
        Assert.Single(lab.InFlight(1, 2));
        lab.Settle();
        Assert.Equal(2, lab.Applied[3].Count);
    }

    [Fact]
    public void An_append_carries_no_more_than_its_limit_but_always_one_entry()
    {
        Lab lab = new(3, Options(append: 100));
        lab.Elect(1);
        lab[1].Propose(new ReadOnlyMemory<byte>[] { new byte[400], new byte[10], new byte[10], new byte[60] });
        lab.Pump(1);
        Assert.Equal([1, 2, 1], lab.InFlight(1, 2).OfType<AppendEntries>().Select(static m => m.Entries.Length));
    }

    [Fact]
    public void With_a_full_window_the_answer_to_a_heartbeat_brings_an_empty_append_that_finds_the_loss()
    {
        Lab lab = new(3, Options(messages: 2));
        lab.Elect(1);
        lab.Propose(1, "a");
        lab.Propose(1, "b");
        lab.Propose(1, "c");
        lab.Drop(1, 2);
        lab.Tick(1, 5);
        lab.Deliver(1, 2);
        lab.Deliver(2, 1);
        AppendEntries probe = lab.Last<AppendEntries>(1, 2);
        Assert.True(probe.Entries.IsEmpty);
        lab.Deliver(1, 2);
        Assert.True(lab.Last<AppendEntriesResponse>(2, 1).IsRejected);
        lab.Settle();
        Assert.Equal(["a", "b", "c"], lab.Applied[2]);
    }

    [Fact]
    public void A_refusal_carries_a_hint_of_index_and_term_that_skips_whole_terms()
    {
        // Follower: terms 1 1 1 1 1 1 (long run of an old leader); leader: 1 1 then terms 5 6. The first refusal must lead straight to
        // index 2.
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        lab.Settle();
        for (int i = 0; i < 50; i++)
        {
            lab.Propose(1, "lost");
        }

        lab.Sync(1);
        lab.Crash(1);
        lab.DropAll(1);
        lab.Elect(2, 1);
        lab.Propose(2, "b");
        lab.Settle(1);
        lab.Start(1);
        int appends = 0;
        lab.Tick(2, 5);
        for (int i = 0; i < 10; i++)
        {
            appends += lab.InFlight(2, 1).OfType<AppendEntries>().Count();
            lab.Deliver(2, 1);
            lab.Sync(1);
            lab.Deliver(1, 2);
        }

        Assert.Equal(["a", "b"], lab.Applied[1]);
        Assert.InRange(appends, 1, 3);
    }

    [Fact]
    public void A_late_refusal_does_not_set_a_follower_back()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        lab.Settle();
        List<PeerStatus> before = [];
        lab[1].GetPeers(before);
        lab.Receive(
            1,
            new AppendEntriesResponse
            {
                From = new(2),
                To = new(1),
                Term = new(1),
                IsRejected = true,
                Index = new(1),
                HintIndex = new(0),
            });
        List<PeerStatus> after = [];
        lab[1].GetPeers(after);
        Assert.Equal(before, after);
    }

    [Fact]
    public void Acknowledgements_of_an_earlier_term_do_not_count()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Settle();
        lab.Propose(1, "a");
        lab.DropAll(1);
        lab.Sync(1);
        lab.Crash(1);
        lab.Start(1);
        lab.Win(2, 3);
        lab.Crash(2);
        lab.Win(1, 3);
        Assert.Equal(new Term(3), lab[1].Term);
        lab.DropAll(1);
        LogIndex commit = lab[1].CommitIndex;
        lab.Receive(1, new AppendEntriesResponse { From = new(3), To = new(1), Term = new(1), Index = new(2) });
        lab.Receive(1, new AppendEntriesResponse { From = new(3), To = new(1), Term = new(2), Index = new(3) });
        Assert.Equal(commit, lab[1].CommitIndex);
        List<PeerStatus> peers = [];
        lab[1].GetPeers(peers);
        Assert.All(peers, static p => Assert.Equal(LogIndex.Zero, p.Match));
    }

    [Fact]
    public void An_acknowledgement_that_was_held_for_an_earlier_term_is_dropped()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        lab.Deliver(1, 2);
        lab.Receive(2, new AppendEntriesResponse { From = new(3), To = new(2), Term = new(5), IsRejected = true });
        lab.DropAll(2);
        lab.Sync(2);
        Assert.Empty(lab.InFlight(2, 1));
    }

    [Fact]
    public void One_sync_of_many_appends_is_acknowledged_once()
    {
        Lab lab = new(3);
        lab.Elect(1);
        for (int i = 0; i < 10; i++)
        {
            lab.Propose(1, $"{i}");
        }

        lab.Deliver(1, 2);
        lab.Sync(2);
        AppendEntriesResponse answer = Assert.IsType<AppendEntriesResponse>(Assert.Single(lab.InFlight(2, 1)));
        Assert.Equal(new LogIndex(11), answer.Index);
    }

    [Fact]
    public void A_heartbeat_carries_no_commit_index_beyond_what_the_follower_is_known_to_have()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        lab.Drop(1, 3);
        lab.Settle(3);
        Assert.Equal(new LogIndex(2), lab[1].CommitIndex);
        lab.Tick(1, 5);
        Assert.Equal(new LogIndex(2), lab.Last<Heartbeat>(1, 2).Commit);
        Assert.Equal(new LogIndex(1), lab.Last<Heartbeat>(1, 3).Commit);
    }

    [Fact]
    public void The_others_hear_of_a_commit_at_once_without_an_answer()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        lab.Settle();
        // No tick has passed.
        Assert.Equal(["a"], lab.Applied[2]);
        Assert.Equal(["a"], lab.Applied[3]);
        Assert.Empty(lab.InFlight(2, 1));
    }

    [Fact]
    public void The_limit_of_uncommitted_bytes_lets_one_proposal_in_whatever_its_size_and_frees_what_commits()
    {
        Lab lab = new(3, Options(uncommitted: 100));
        lab.Elect(1);
        Assert.Equal(ProposeStatus.Accepted, lab.Propose(1, new string('x', 5_000)).Status);
        Assert.Equal(ProposeStatus.Busy, lab.Propose(1, "y").Status);
        lab.Settle();
        Assert.Equal(ProposeStatus.Accepted, lab.Propose(1, "y").Status);
        Assert.Equal(ProposeStatus.Accepted, lab.Propose(1, "z").Status);
    }

    [Fact]
    public void An_entry_over_its_limit_is_refused()
    {
        Lab lab = new(1, new RaftOptions { Self = new(1), EntryLimitBytes = 10 });
        lab.Elect(1);
        Assert.Equal(ProposeStatus.TooLarge, lab[1].Propose(new byte[11]).Status);
        Assert.Equal(ProposeStatus.Accepted, lab[1].Propose(new byte[10]).Status);
    }

    [Fact]
    public void A_follower_refuses_proposals_and_names_the_leader()
    {
        Lab lab = new(3);
        lab.Elect(2);
        ProposeResult result = lab.Propose(1, "a");
        Assert.Equal(ProposeStatus.NotLeader, result.Status);
        Assert.Equal(new NodeId(2), result.LeaderHint);
    }

    [Fact]
    public void Committed_entries_are_handed_out_in_bounded_portions_one_after_the_other()
    {
        RaftGroup group = new(
            Options(apply: 100),
            new MemoryRaftLog(),
            new RestoredState { Membership = new([new(1)]) },
            new SplitMix64Random(1));
        group.Tick();
        group.Persisted(group.TakeReady().PersistTicket);
        Ready ready = group.TakeReady();
        group.Persisted(ready.PersistTicket);
        for (int i = 0; i < 5; i++)
        {
            group.Propose(new byte[40]);
        }

        ready = group.TakeReady();
        Assert.Equal(1, ready.Committed.Length);
        group.Persisted(ready.PersistTicket);
        // Nothing more before the first portion is applied.
        Assert.Equal(0, group.TakeReady().Committed.Length);
        group.Applied(new(1));
        Assert.Equal(1, group.TakeReady().Committed.Length);
        group.Applied(new(2));
        Assert.Equal(1, group.TakeReady().Committed.Length);
    }

    [Fact]
    public void Older_entries_are_read_back_from_the_persisted_log()
    {
        Lab lab = new(3, Options(recent: 0, append: 100));
        lab.Elect(1);
        lab.Settle(3);
        for (int i = 0; i < 30; i++)
        {
            lab.Propose(1, $"{i}");
            lab.Settle(3);
        }

        Assert.Equal(0, lab[1].RecentEntriesBytes);
        lab.Tick(1, 5);
        lab.Settle();
        Assert.Equal(30, lab.Applied[3].Count);
    }

    [Fact]
    public void What_a_member_that_answers_may_still_need_stays_in_memory_and_what_all_have_does_not()
    {
        Lab lab = new(3, Options(settled: 0));
        lab.Elect(1);
        lab.Settle();
        for (int i = 0; i < 10; i++)
        {
            lab.Propose(1, "0123456789");
            lab.Settle(3);
        }

        // Node 3 has heard nothing: applied here, but kept for it.
        Assert.Equal(new LogIndex(11), lab[1].AppliedIndex);
        Assert.True(lab[1].RecentEntriesBytes >= 10 * (Entry.OverheadBytes + 10));
        Assert.Equal(0, lab[2].RecentEntriesBytes);
        lab.Tick(1, 5);
        lab.Settle();
        lab.Propose(1, "and on");
        lab.Settle();
        Assert.Equal(11, lab.Applied[3].Count);

        // The last word of a member about an entry may come after the entry was applied, and is taken note of with the next one.
        Assert.InRange(lab[1].RecentEntriesBytes, 0, Entry.OverheadBytes + 10);
    }

    [Fact]
    public void While_older_entries_are_being_read_the_follower_waits_and_others_do_not()
    {
        SlowLog log = new();
        log.Inner.Append(
            default,
            [.. Enumerable.Range(1, 20).Select(static i => new Entry(new((ulong)i), new(1), EntryKind.Normal, new byte[10]))]);
        RaftGroup group = new(
            Options(recent: 0),
            log,
            new RestoredState
            {
                HardState = new(new(1), default, new(20)),
                Membership = new([new(1), new(2)]),
                Applied = new(20),
            },
            new SplitMix64Random(1));
        group.Campaign();

        // It may have promised something before it started, and keeps that first.
        for (int i = 0; i < group.Options.ElectionTimeoutMinTicks; i++)
        {
            group.Tick();
        }

        Assert.Equal(RaftRole.PreCandidate, group.Role);
        group.TakeReady();
        group.Receive(new RequestVoteResponse { From = new(2), To = new(1), Term = new(2), IsPreVote = true, IsGranted = true });
        group.Persisted(group.TakeReady().PersistTicket);
        group.Receive(new RequestVoteResponse { From = new(2), To = new(1), Term = new(2), IsGranted = true });
        group.Persisted(group.TakeReady().PersistTicket);
        log.IsPending = true;
        group.Receive(
            new AppendEntriesResponse
            {
                From = new(2),
                To = new(1),
                Term = new(2),
                IsRejected = true,
                Index = new(20),
                HintIndex = new(5),
                HintTerm = new(1),
            });
        Assert.Equal(0, group.TakeReady().Messages.Length);
        Assert.False(group.HasReady);
        log.IsPending = false;
        group.LogAvailable();
        AppendEntries append = Assert.IsType<AppendEntries>(group.TakeReady().Messages[0]);
        Assert.Equal(new LogIndex(5), append.PrevIndex);
        Assert.Equal(15, append.Entries.Length);
    }

    [Fact]
    public void Nothing_is_ready_when_nothing_happens()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Settle();
        for (ulong node = 1; node <= 3; node++)
        {
            Assert.False(lab[node].HasReady);
            Assert.True(lab[node].TakeReady().IsEmpty);
        }

        lab[1].Tick();
        Assert.False(lab[1].HasReady);
    }

    [Fact]
    public void A_proposal_allocates_only_for_its_messages_and_buffers()
    {
        // One voter: no messages at all. What remains must be nothing.
        RaftGroup group = new(Options(), new MemoryRaftLog(), new RestoredState { Membership = new([new(1)]) }, new SplitMix64Random(1));
        group.Tick();
        byte[] data = new byte[64];
        void Round()
        {
            group.Propose(data);
            Ready ready = group.TakeReady();
            if (ready.PersistTicket != 0)
            {
                group.Persisted(ready.PersistTicket);
            }

            ready = group.TakeReady();
            if (ready.Committed.Length > 0)
            {
                group.Applied(ready.Committed[^1].Index);
            }

            group.Compact(group.AppliedIndex);
        }

        for (int i = 0; i < 1_000; i++)
        {
            Round();
        }

        // What rounds allocate shows in every window; what the runtime does once on this thread (replacing methods) does not.
        long fewest = long.MaxValue;
        for (int window = 0; window < 20 && fewest > 0; window++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 1_000; i++)
            {
                Round();
            }

            fewest = Math.Min(fewest, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, fewest);
    }

    private sealed class SlowLog : IRaftLog
    {
        public MemoryRaftLog Inner { get; } = new();

        public bool IsPending { get; set; }

        public LogIndex CompactedIndex => Inner.CompactedIndex;

        public Term CompactedTerm => Inner.CompactedTerm;

        public LogIndex LastIndex => Inner.LastIndex;

        public LogReadStatus Read(LogIndex from, LogIndex last, long limitBytes, List<Entry> into) =>
            IsPending ? LogReadStatus.Pending : Inner.Read(from, last, limitBytes, into);
    }
}
