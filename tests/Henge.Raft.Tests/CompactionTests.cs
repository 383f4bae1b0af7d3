using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>What of the log may go, and what is said of that.</summary>
public sealed class CompactionTests
{
    [Fact]
    public void What_is_applied_or_compacted_already_changes_nothing()
    {
        Lab lab = new(1);
        lab.Tick(1);
        lab.Settle();
        lab.Propose(1, "a");
        lab.Propose(1, "b");
        lab.Settle();
        lab[1].Applied(new(1));
        Assert.Equal(new LogIndex(3), lab[1].AppliedIndex);
        lab.Node(1).Checkpoint(compact: true, keepEntries: 1);
        foreach (ulong index in (ulong[])[0, 1, 2])
        {
            lab[1].Compact(new(index));
            Assert.Equal(new LogIndex(2), lab[1].CompactedIndex);
        }
    }

    [Fact]
    public void Nothing_is_compacted_that_is_not_applied()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        lab.Sync(1);
        Assert.Equal(new LogIndex(1), lab[1].CompactionHint);
        Assert.Throws<InvariantBrokenException>(() => lab[1].Compact(new(2)));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void The_hint_keeps_what_a_member_that_answers_still_needs_and_forgets_one_that_does_not(ulong behind)
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        lab.Settle();
        Assert.Equal(new LogIndex(2), lab[1].CompactionHint);
        lab.Propose(1, "b");
        lab.Settle(behind);
        Assert.Equal(new LogIndex(3), lab[1].AppliedIndex);
        Assert.Equal(new LogIndex(2), lab[1].CompactionHint);
        for (int i = 0; i < 30; i++)
        {
            lab.Tick(1);
            lab.Settle(behind);
        }

        Assert.Equal(new LogIndex(3), lab[1].CompactionHint);
    }

    [Fact]
    public void The_hint_keeps_what_comes_behind_a_snapshot_that_is_under_way_even_when_nothing_is_heard_meanwhile()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Crash(3);
        for (int i = 0; i < 5; i++)
        {
            lab.Propose(1, $"{i}");
        }

        lab.Settle(3);
        lab.Node(1).Checkpoint(compact: true, keepEntries: 0);
        lab.Start(3);
        lab.Tick(1, 5);
        lab.Settle();
        Assert.Equal([(1UL, 3UL)], lab.SnapshotsWanted);
        // What it has, until the snapshot begins.
        Assert.Equal(new LogIndex(1), lab[1].CompactionHint);
        Assert.NotNull(lab.BeginSnapshot(1, 3));
        lab.Propose(1, "after");
        for (int i = 0; i < 40; i++)
        {
            lab.Tick(1);
            lab.Settle(3);
        }

        Assert.Equal(new LogIndex(7), lab[1].AppliedIndex);
        Assert.Equal(new LogIndex(6), lab[1].CompactionHint);
    }

    [Fact]
    public void Entries_that_only_a_dead_member_lacks_do_not_stay_in_memory()
    {
        Lab lab = new(3, new RaftOptions { Self = new(1), SettledEntriesLimitBytes = 0 });
        lab.Elect(1);
        lab.Settle();
        lab.Propose(1, new string('v', 1000));
        lab.Settle(3);
        Assert.True(lab[1].RecentEntriesBytes >= 1000);
        for (int i = 0; i < 31; i++)
        {
            lab.Tick(1);
            lab.Settle(3);
        }

        lab.Propose(1, "a");
        lab.Settle(3);
        Assert.Equal(0, lab[1].RecentEntriesBytes);
    }

    [Fact]
    public void Entries_that_a_member_that_answers_lacks_stay_in_memory()
    {
        // n3 is up to date, and n2 is not: its entries need not come from the disk.
        Lab lab = new(3, new RaftOptions { Self = new(1), SettledEntriesLimitBytes = 0 });
        lab.Elect(1);
        lab.Settle();
        lab.Propose(1, new string('v', 1000));
        lab.Settle(2);
        Assert.Equal(lab[1].LastIndex, lab[1].AppliedIndex);
        Assert.True(lab[1].RecentEntriesBytes >= 1000);
    }
}
