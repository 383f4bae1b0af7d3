using Henge.Core;

namespace Henge.Raft.Tests;

public sealed class CommitTests
{
    [Fact]
    public void A_new_leader_appends_an_empty_entry_of_its_own_term()
    {
        Lab lab = new(3);
        lab.Elect(1);
        Assert.Equal(EntryKind.Empty, Assert.Single(lab.Node(1).Log).Kind);
        Assert.Equal(new Term(1), lab[1].LastTerm);
    }

    [Fact]
    public void A_majority_of_copies_of_an_older_term_commits_nothing_until_an_own_entry_follows()
    {
        Lab lab = new(3, new RaftOptions { Self = new(1), AppendLimitBytes = 1 });
        lab.Elect(1);
        lab.Propose(1, "old");
        lab.DropAll(1);
        lab.Sync(1);
        lab.Crash(1);
        lab.Start(1);
        lab.Win(1, 2);
        lab.Sync(1);
        // The first append does not fit and is refused; then the old entry alone arrives and is acknowledged.
        lab.Deliver(1, 2);
        lab.Deliver(2, 1);
        lab.Deliver(1, 2);
        lab.Sync(2);
        lab.Deliver(2, 1);
        List<PeerStatus> peers = [];
        lab[1].GetPeers(peers);
        Assert.Equal(new LogIndex(2), peers[0].Match);
        Assert.Equal(LogIndex.Zero, lab[1].CommitIndex);
        lab.Deliver(1, 2);
        lab.Sync(2);
        lab.Deliver(2, 1);
        Assert.Equal(new LogIndex(3), lab[1].CommitIndex);
        Assert.Equal(["old"], lab.Applied[1]);
    }

    [Fact]
    public void Learners_do_not_count()
    {
        Lab lab = new([1, 2, 3], [4, 5, 6]);
        lab.Elect(1);
        lab.Propose(1, "a");
        lab.Settle(2, 3);
        Assert.Equal(new LogIndex(1), lab[1].CommitIndex);
        Assert.Equal(new LogIndex(2), lab[4].LastIndex);
    }

    [Fact]
    public void A_follower_applies_only_what_it_has_durably_itself()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        lab.Deliver(1, 2);
        lab.Settle(2);
        lab.Receive(
            2,
            new AppendEntries
            {
                From = new(1),
                To = new(2),
                Term = new(1),
                PrevIndex = new(2),
                PrevTerm = new(1),
                Commit = new(2),
            });
        Assert.Equal(new LogIndex(2), lab[2].CommitIndex);
        Assert.Empty(lab.Applied[2]);
        lab.Sync(2);
        Assert.Equal(["a"], lab.Applied[2]);
    }

    [Fact]
    public void A_heartbeat_of_more_than_the_log_has_means_lost_data_and_is_no_small_matter()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        lab.Settle();
        lab.Crash(2);
        lab.Node(2).LoseDisk(new Membership([new(1), new(2), new(3)]));
        lab.Start(2);
        lab.Tick(1, 5);
        InvariantBrokenException broken = Assert.Throws<InvariantBrokenException>(() => lab.Deliver(1, 2));
        Assert.Contains("synced data is lost", broken.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0UL, 0UL, 5UL)]
    [InlineData(9UL, 0UL, 0UL)]
    [InlineData(0UL, 9UL, 0UL)]
    public void A_persisted_state_that_does_not_fit_together_is_refused(ulong commit, ulong applied, ulong membershipIndex)
    {
        MemoryRaftLog log = new();
        log.Append(default, [new Entry(new(1), new(1), EntryKind.Empty, default)]);
        HengeException error = Assert.Throws<HengeException>(() => new RaftGroup(new RaftOptions { Self = new(1) }, log, new RestoredState
        {
            HardState = new(new(1), default, new(commit)),
            Membership = new([new(1)]),
            MembershipIndex = new(membershipIndex),
            Applied = new(applied),
        }, new SplitMix64Random(1)));
        Assert.Equal(ErrorCode.Corruption, error.Code);
    }

    [Fact]
    public void A_hard_state_never_speaks_of_entries_that_are_written_along_with_it()
    {
        // The write may be torn between the two, and what was never durable must not look like something that was lost.
        Lab lab = new(3);
        Entry[] entries = [.. Enumerable.Range(1, 5).Select(static i => new Entry(new((ulong)i), new(1), EntryKind.Normal, new byte[1]))];
        lab[1].Receive(new AppendEntries { From = new(2), To = new(1), Term = new(1), Commit = new(5), Entries = entries });
        Ready ready = lab[1].TakeReady();
        Assert.Equal(new LogIndex(5), lab[1].CommitIndex);
        Assert.Equal(5, ready.Entries.Length);
        Assert.Equal(LogIndex.Zero, ready.HardState!.Value.Commit);
        lab[1].Persisted(ready.PersistTicket);
        Assert.Equal(new LogIndex(5), lab[1].DurableCommitIndex);
    }

    [Fact]
    public void A_log_with_a_later_term_than_the_persisted_one_is_refused()
    {
        MemoryRaftLog log = new();
        log.Append(default, [new Entry(new(1), new(3), EntryKind.Empty, default)]);
        HengeException error = Assert.Throws<HengeException>(() =>
            new RaftGroup(new RaftOptions { Self = new(1) }, log, new RestoredState { Membership = new([new(1)]) }, new SplitMix64Random(1))
        );
        Assert.Equal(ErrorCode.Corruption, error.Code);
    }

    [Fact]
    public void Only_what_is_applied_can_be_compacted()
    {
        Lab lab = new(1);
        lab.Elect(1);
        lab[1].Propose(new byte[1]);
        Assert.Throws<InvariantBrokenException>(() => lab[1].Compact(new(2)));
    }

    [Fact]
    public void The_compaction_hint_waits_for_members_that_answer_and_not_for_others()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        lab.Drop(1, 3);
        lab.Settle(3);
        Assert.Equal(new LogIndex(1), lab[1].CompactionHint);
        for (int i = 0; i < 31; i++)
        {
            lab.Tick(1);
            lab.Settle(3);
        }

        Assert.Equal(new LogIndex(2), lab[1].CompactionHint);
    }
}
