using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>Elections that settle nothing make the next ones slower, until an entry of a term is committed.</summary>
public sealed class PatienceTests
{
    private static readonly RaftOptions Fixed = new() { Self = new(1), ElectionTimeoutMinTicks = 15, ElectionTimeoutMaxTicks = 15 };

    [Fact]
    public void Terms_without_a_commit_make_timeouts_longer_up_to_a_bound()
    {
        Lab lab = new(3, new RaftOptions { Self = new(1), ElectionTimeoutMinTicks = 15, ElectionTimeoutMaxTicks = 30 });
        int longest = 0;
        for (ulong term = 1; term <= 40; term++)
        {
            lab.Receive(1, new RequestVote { From = new(2), To = new(1), Term = new(term), LastIndex = new(9), LastTerm = new(9) });
            lab.Receive(1, new AppendEntriesResponse { From = new(2), To = new(1), Term = new(term), IsRejected = true });
            int waited = UntilItStands(lab, 1);
            Assert.InRange(waited, 1, 15 + (16 << RaftGroup.MaxTimeoutDoublings));
            if (term <= 2)
            {
                // The first two are as fast as ever.
                Assert.InRange(waited, 1, 31);
            }

            longest = Math.Max(longest, waited);
        }

        Assert.InRange(longest, 100, int.MaxValue);
    }

    [Fact]
    public void A_commit_in_the_term_ends_it()
    {
        Lab lab = Impatient(5);
        lab.Receive(1, new AppendEntries
        {
            From = new(2),
            To = new(1),
            Term = new(5),
            Entries = new Entry[] { new(new(1), new(5), EntryKind.Empty, default) },
            Commit = new(1),
        });
        lab.Sync(1);
        Assert.InRange(UntilItStands(lab, 1), 15, 31);
    }

    [Fact]
    public void A_commit_of_an_older_term_does_not()
    {
        Lab lab = Impatient(5);
        int longest = 0;
        for (int i = 0; i < 10; i++)
        {
            lab.Receive(1, new AppendEntries
            {
                From = new(2),
                To = new(1),
                Term = new(5 + (ulong)i),
                Entries = new Entry[] { new(new(1), new(2), EntryKind.Empty, default) },
                Commit = new(1),
            });
            lab.Sync(1);
            longest = Math.Max(longest, UntilItStands(lab, 1));
        }

        Assert.InRange(longest, 60, int.MaxValue);
    }

    [Fact]
    public void A_leader_that_has_committed_nothing_gives_its_voters_more_time_after_terms_that_failed()
    {
        Lab lab = new(3, Fixed);
        for (ulong term = 1; term <= 4; term++)
        {
            lab.Receive(1, new AppendEntriesResponse { From = new(2), To = new(1), Term = new(term), IsRejected = true });
        }

        lab.Tick(1, 20);
        while (lab[1].Role != RaftRole.Leader)
        {
            lab.Tick(1, lab[1].Role == RaftRole.Follower ? 1 : 0);
            lab.Deliver(1, 2);
            lab.Sync(2);
            lab.Deliver(2, 1);
            lab.Sync(1);
        }

        // Nobody answers it. One that had not failed before would step down after 15 ticks.
        lab.Tick(1, 60);
        Assert.Equal(RaftRole.Leader, lab[1].Role);
        lab.Tick(1, 2 * (15 << RaftGroup.MaxTimeoutDoublings));
        Assert.NotEqual(RaftRole.Leader, lab[1].Role);
    }

    [Fact]
    public void A_group_that_is_held_does_not_stand_and_does_soon_after()
    {
        Lab lab = new(3, Fixed);
        lab[1].HoldsElections = true;
        lab.Tick(1, 100);
        lab.Campaign(1);
        Assert.Equal(RaftRole.Follower, lab[1].Role);
        Assert.Equal(0UL, lab[1].ElectionsBegun);
        lab[1].HoldsElections = false;
        lab.Tick(1, 4);
        Assert.Equal(RaftRole.PreCandidate, lab[1].Role);
        Assert.Equal(1UL, lab[1].ElectionsBegun);
    }

    private static Lab Impatient(ulong term)
    {
        Lab lab = new(3, new RaftOptions { Self = new(1), ElectionTimeoutMinTicks = 15, ElectionTimeoutMaxTicks = 30 });
        for (ulong t = 1; t <= term; t++)
        {
            lab.Receive(1, new AppendEntriesResponse { From = new(2), To = new(1), Term = new(t), IsRejected = true });
        }

        return lab;
    }

    private static int UntilItStands(Lab lab, ulong node)
    {
        ulong begun = lab[node].ElectionsBegun;
        int ticks = 0;
        for (; lab[node].ElectionsBegun == begun; ticks++)
        {
            Assert.InRange(ticks, 0, 1_000);
            lab.Tick(node);
        }

        return ticks;
    }
}
