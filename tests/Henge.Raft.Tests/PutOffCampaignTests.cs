using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>
/// A node that is told to stand for election, and may not yet: after a restart it does so when the promise of before it ends, unless it
/// hears of somebody else.
/// </summary>
public sealed class PutOffCampaignTests
{
    /// <summary>By its own timeout a node would wait much longer than a promise holds.</summary>
    private static readonly RaftOptions Patient = new() { Self = new(1), ElectionTimeoutMinTicks = 15, ElectionDelayTicks = 100 };

    [Fact]
    public void It_stands_as_soon_as_its_promise_ends()
    {
        Lab lab = Restarted();
        lab.Tick(2, 14);
        Assert.Equal(RaftRole.Follower, lab[2].Role);
        lab.Tick(2);
        Assert.Equal(RaftRole.PreCandidate, lab[2].Role);
    }

    [Fact]
    public void It_waits_for_its_own_timeout_once_it_has_heard_a_leader()
    {
        Lab lab = Restarted();
        lab.Receive(2, new Heartbeat { From = new(1), To = new(2), Term = new(4) });
        lab.Tick(2, 60);
        Assert.Equal(RaftRole.Follower, lab[2].Role);
    }

    [Fact]
    public void It_waits_for_its_own_timeout_once_it_has_given_its_vote()
    {
        Lab lab = Restarted();
        lab.Receive(2, new RequestVote { From = new(3), To = new(2), Term = new(5), IsTransfer = true });
        Assert.Equal(new NodeId(3), lab[2].VotedFor);
        lab.Tick(2, 60);
        Assert.Equal(RaftRole.Follower, lab[2].Role);
    }

    [Fact]
    public void A_follower_that_hears_a_leader_forgets_that_it_was_told_to()
    {
        Lab lab = new(3, Patient);
        lab.Receive(2, new Heartbeat { From = new(1), To = new(2), Term = new(4) });
        lab.Campaign(2);
        lab.Tick(2, 60);
        Assert.Equal(RaftRole.Follower, lab[2].Role);
    }

    [Fact]
    public void The_only_voter_has_promised_nothing()
    {
        Lab lab = new(1);
        lab.Tick(1);
        lab.Settle();
        lab.Crash(1);
        lab.Start(1);
        lab.Tick(1);
        Assert.Equal(RaftRole.Candidate, lab[1].Role);
    }

    private static Lab Restarted()
    {
        Lab lab = new(3, Patient);
        lab.Receive(2, new AppendEntriesResponse { From = new(3), To = new(2), Term = new(4), IsRejected = true });
        lab.Sync(2);
        lab.Crash(2);
        lab.Start(2);
        lab.Campaign(2);
        Assert.Equal(RaftRole.Follower, lab[2].Role);
        return lab;
    }
}
