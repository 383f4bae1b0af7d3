using Henge.Core;

namespace Henge.Raft.Tests;

public sealed class SnapshotTests
{
    /// <summary>n3 was away; what it needs is gone; the leader knows that it is back and wants a snapshot for it.</summary>
    private static Lab Behind(int retryTicks = 50)
    {
        Lab lab = new(3, new RaftOptions { Self = new(1), SnapshotRetryTicks = retryTicks });
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
        return lab;
    }

    private static PeerStatus Peer3(Lab lab)
    {
        List<PeerStatus> peers = [];
        lab[1].GetPeers(peers);
        return peers.Single(static p => p.Id == new NodeId(3));
    }

    [Fact]
    public void A_follower_whose_entries_are_gone_catches_up_by_a_snapshot_while_others_go_on()
    {
        Lab lab = Behind();
        lab.BeginSnapshot(1, 3);
        lab.Propose(1, "during");
        lab.Settle(3);
        Assert.Equal("during", lab.Applied[1][^1]);
        lab.BeginSnapshot(1, 3);
        lab.Settle();
        lab[1].SnapshotSent(new(3));
        lab.Pump(1);
        lab.Settle();
        Assert.Equal(lab.Node(1).StateHash, lab.Node(3).StateHash);
        Assert.Equal(PeerState.Replicate, Peer3(lab).State);
    }

    [Fact]
    public void A_damaged_state_is_replaced_alone_only_by_one_that_the_log_goes_on_from_and_never_goes_back()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        lab.Settle();
        InstallSnapshot old = lab[1].DescribeSnapshot(new(3), lab[1].AppliedIndex)!;
        Assert.True(lab[3].CanReplaceState(old));
        Assert.False(lab[1].CanReplaceState(old));
        lab.Propose(1, "b");
        lab.Settle();
        InstallSnapshot now = lab[1].DescribeSnapshot(new(3), lab[1].AppliedIndex)!;
        Assert.False(lab[3].CanReplaceState(old));
        Assert.True(lab[3].CanReplaceState(now));
        Assert.False(lab[3].CanReplaceState(At(now, now.Index, now.IndexTerm.Next)));
        Assert.False(lab[3].CanReplaceState(At(now, now.Index.Next, now.IndexTerm)));

        // What it has acknowledged stays, and it goes on from there.
        (LogIndex last, Term term, NodeId vote) = (lab[3].LastIndex, lab[3].Term, lab[3].VotedFor);
        lab[3].StateReplaced(now);
        Assert.Equal((last, term, vote), (lab[3].LastIndex, lab[3].Term, lab[3].VotedFor));
        Assert.Equal(now.Index, lab[3].AppliedIndex);
        lab.Propose(1, "c");
        lab.Settle();
        Assert.Equal(lab.Node(1).StateHash, lab.Node(3).StateHash);
        Assert.Null(lab[3].DescribeSnapshot(new(1), now.Index));
    }

    private static InstallSnapshot At(InstallSnapshot like, LogIndex index, Term term) =>
        new() { From = like.From, To = like.To, Term = like.Term, Index = index, IndexTerm = term, Membership = like.Membership };

    [Fact]
    public void No_snapshot_begins_while_one_is_pending_and_nothing_else_is_sent()
    {
        Lab lab = Behind();
        lab.BeginSnapshot(1, 3);
        for (int i = 0; i < 100; i++)
        {
            lab.Tick(1);
            lab.Propose(1, "x");
            Assert.DoesNotContain(lab.InFlight(1, 3), static m => m is AppendEntries);
            lab.Deliver(1, 2);
            lab.Deliver(2, 1);
            lab.Sync(1);
            lab.Sync(2);
        }

        Assert.Equal([(1UL, 3UL)], lab.SnapshotsWanted);
    }

    [Fact]
    public void A_snapshot_that_failed_is_tried_again_but_not_at_once()
    {
        Lab lab = Behind(retryTicks: 30);
        Assert.NotNull(lab[1].BeginSnapshot(new(3), lab[1].AppliedIndex));
        lab[1].SnapshotFailed(new(3));
        lab.Pump(1);
        for (int i = 0; i < 29; i++)
        {
            lab.Tick(1);
            lab.Settle();
            Assert.Single(lab.SnapshotsWanted);
        }

        lab.Tick(1, 6);
        lab.Settle();
        Assert.Equal(2, lab.SnapshotsWanted.Count);
    }

    [Fact]
    public void A_snapshot_is_acknowledged_only_when_it_is_durable()
    {
        Lab lab = Behind();
        lab.BeginSnapshot(1, 3);
        lab.Deliver(1, 3);
        Assert.DoesNotContain(lab.InFlight(3, 1), static m => m is AppendEntriesResponse);
        Assert.Equal(LogIndex.Zero, lab[3].PersistedIndex);
        lab.Sync(3);
        Assert.Equal(new LogIndex(6), lab.Last<AppendEntriesResponse>(3, 1).Index);
        Assert.Equal(new LogIndex(6), lab[3].AppliedIndex);
    }

    [Fact]
    public void A_crash_while_a_snapshot_is_installed_leaves_the_old_state()
    {
        Lab lab = Behind();
        lab.BeginSnapshot(1, 3);
        lab.Deliver(1, 3);
        lab.Crash(3);
        lab.Start(3);
        Assert.Equal(new LogIndex(1), lab[3].LastIndex);
        lab[1].SnapshotFailed(new(3));
        for (int i = 0; i < 60; i++)
        {
            lab.Tick(1);
            lab.Settle();
        }

        Assert.Equal(2, lab.SnapshotsWanted.Count);
    }

    [Fact]
    public void A_snapshot_that_is_older_than_what_is_committed_is_not_installed()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        lab.Settle();
        lab.Receive(
            2,
            new InstallSnapshot
            {
                From = new(1),
                To = new(2),
                Term = new(1),
                Index = new(1),
                IndexTerm = new(1),
                Membership = lab[1].Membership,
            });
        Assert.False(lab.Node(2).HasUnsynced);
        Assert.Equal(new LogIndex(2), lab.Last<AppendEntriesResponse>(2, 1).Index);
    }

    [Fact]
    public void A_snapshot_of_what_the_log_has_already_only_commits()
    {
        Lab lab = new(3);
        lab.Elect(1);
        lab.Propose(1, "a");
        lab.Deliver(1, 2);
        lab.Sync(2);
        lab.Receive(
            2,
            new InstallSnapshot
            {
                From = new(1),
                To = new(2),
                Term = new(1),
                Index = new(2),
                IndexTerm = new(1),
                Membership = lab[1].Membership,
            });
        Assert.Equal(["a"], lab.Applied[2]);
        Assert.Equal(LogIndex.Zero, lab[2].CompactedIndex);
    }

    [Fact]
    public void A_snapshot_replaces_a_log_that_disagrees_and_brings_its_membership()
    {
        Lab lab = Behind();
        Membership membership = new([new(1), new(2), new(3)], [new(9)]);
        lab.Receive(
            3,
            new AppendEntries
            {
                From = new(1),
                To = new(3),
                Term = new(1),
                PrevIndex = new(1),
                PrevTerm = new(1),
                Entries = new[] { new Entry(new(2), new(1), EntryKind.Normal, new byte[1]) },
            });
        lab.Receive(
            3,
            new InstallSnapshot
            {
                From = new(1),
                To = new(3),
                Term = new(1),
                Index = new(6),
                IndexTerm = new(1),
                Membership = membership,
            });
        lab.Sync(3);
        Assert.Equal(new LogIndex(6), lab[3].LastIndex);
        Assert.Equal(new LogIndex(6), lab[3].CompactedIndex);
        Assert.Equal(membership, lab[3].Membership);
        lab.Crash(3);
        lab.Start(3);
        Assert.Equal(membership, lab[3].Membership);
        Assert.Equal(new LogIndex(6), lab[3].AppliedIndex);
    }

    [Fact]
    public void A_snapshot_that_is_no_longer_needed_is_not_begun()
    {
        Lab lab = Behind();
        Assert.Null(lab[1].BeginSnapshot(new(2), lab[1].AppliedIndex));
        Assert.Null(lab[2].BeginSnapshot(new(3), lab[2].AppliedIndex));
        lab.Receive(1, new AppendEntriesResponse { From = new(2), To = new(1), Term = new(7), IsRejected = true });
        Assert.Null(lab[1].BeginSnapshot(new(3), lab[1].AppliedIndex));
    }

    [Fact]
    public void A_snapshot_that_the_log_has_left_behind_is_not_begun_and_a_newer_one_is_asked_for()
    {
        Lab lab = Behind(retryTicks: 5);
        Assert.Null(lab[1].BeginSnapshot(new(3), new(2)));
        for (int i = 0; i < 20; i++)
        {
            lab.Tick(1);
            lab.Settle();
        }

        Assert.Equal(2, lab.SnapshotsWanted.Count);
    }

    [Fact]
    public void Entries_behind_a_snapshot_go_out_as_soon_as_it_is_acknowledged()
    {
        Lab lab = Behind();
        lab.BeginSnapshot(1, 3);
        lab.Deliver(1, 3);
        lab.Propose(1, "next");
        lab.Sync(3);
        lab.Deliver(3, 1);
        AppendEntries append = lab.Last<AppendEntries>(1, 3);
        Assert.Equal(new LogIndex(6), append.PrevIndex);
        // A late report changes nothing.
        lab[1].SnapshotSent(new(3));
        lab.Pump(1);
        lab.Settle();
        Assert.Equal(["next"], lab.Applied[3][^1..]);
    }

    [Fact]
    public void No_snapshot_is_made_for_a_member_that_does_not_answer()
    {
        Lab lab = new(3);
        lab.Elect(1);
        for (int i = 0; i < 40; i++)
        {
            lab.Tick(1);
            lab.Settle(3);
        }

        lab.Propose(1, "a");
        lab.Settle(3);
        lab.Node(1).Checkpoint(compact: true, keepEntries: 0);
        lab.Propose(1, "b");
        lab.Settle(3);
        lab.Receive(1, new AppendEntriesResponse { From = new(2), To = new(1), Term = new(1), Index = new(3) });
        Assert.Empty(lab.SnapshotsWanted);
    }
}
