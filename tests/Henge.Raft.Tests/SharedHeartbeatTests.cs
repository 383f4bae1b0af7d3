using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>What a group makes of heartbeats that many groups share; who agrees with them is decided outside, and by hand here.</summary>
public sealed class SharedHeartbeatTests
{
    private static readonly RaftOptions Shared = new() { Self = new(1), SharedHeartbeats = true };

    [Fact]
    public void A_peer_that_has_everything_and_knows_it_gets_no_heartbeat_of_the_groups_own()
    {
        Lab lab = Calm();
        int heartbeats = 0;
        for (int tick = 0; tick < 50; tick++)
        {
            lab[1].Tick();
            Ready ready = lab[1].TakeReady();
            Assert.Empty(ready.Messages.ToArray());
            heartbeats += ready.WantsHeartbeat ? 1 : 0;
            lab[1].SharedHeartbeatAnswered(new(2), (ulong)tick);
        }

        Assert.Equal(50 / Shared.HeartbeatTicks, heartbeats);
        Assert.Equal(RaftRole.Leader, lab[1].Role);
    }

    [Fact]
    public void A_commit_that_a_peer_may_not_have_heard_of_is_told_until_it_answers()
    {
        Lab lab = Calm();
        lab.Propose(1, "a");
        lab.Sync(1);
        lab.Deliver(1, 2);
        lab.Sync(2);
        lab.Deliver(2, 1);
        Assert.Equal(new LogIndex(2), lab[1].CommitIndex);

        // The news of it is lost, again and again; the other peer has not even the entry.
        for (int i = 0; i < 4; i++)
        {
            lab.Drop(1, 2);
            lab.Drop(1, 3);
            lab.Tick(1, Shared.HeartbeatTicks);
            Assert.Equal(new LogIndex(2), lab.Last<Heartbeat>(1, 2).Commit);
            Assert.True(lab.Last<Heartbeat>(1, 3).WantsResponse);
            lab[1].SharedHeartbeatAnswered(new(2), 1);
        }

        lab.Deliver(1, 2);
        Assert.Equal(new LogIndex(2), lab[2].CommitIndex);
    }

    [Fact]
    public void A_peer_that_forgot_a_commit_is_told_again_though_it_agrees_with_shared_heartbeats()
    {
        Lab lab = Calm();
        lab.Propose(1, "a");
        lab.Settle();
        for (int i = 0; i < 4; i++)
        {
            lab.Tick(1, Shared.HeartbeatTicks);
            lab.Settle();
        }

        lab.Crash(2);
        lab.Start(2);

        // It was on its way for long, and makes the peer follow its leader again.
        lab.Receive(2, new Heartbeat { From = new(1), To = new(2), Term = lab[1].Term, Commit = new(1) });
        lab.Pump(2);
        Assert.Equal((new NodeId(1), new LogIndex(1)), (lab[2].Leader, lab[2].CommitIndex));
        for (ulong tick = 0; tick < RaftGroup.OwnHeartbeatTicks; tick++)
        {
            lab.Tick(1);
            lab[1].SharedHeartbeatAnswered(new(2), tick);
            lab[1].SharedHeartbeatAnswered(new(3), tick);
            lab.Deliver(1, 2);
        }

        Assert.Equal(new LogIndex(2), lab[2].CommitIndex);
    }

    [Fact]
    public void Reads_are_proven_by_an_answer_to_a_heartbeat_that_left_after_they_came()
    {
        Lab lab = Calm();
        lab[1].RequestRead(7);
        Assert.True(lab[1].TakeReady().WantsProof);
        lab[1].SharedHeartbeatSent(10);
        lab[1].RequestRead(8);
        Assert.True(lab[1].TakeReady().WantsProof);
        lab[1].SharedHeartbeatSent(11);

        lab[1].SharedHeartbeatAnswered(new(2), 9);
        Assert.Empty(lab[1].TakeReady().ReadsGranted.ToArray());
        lab[1].SharedHeartbeatAnswered(new(2), 10);
        Assert.Equal(7UL, Assert.Single(lab[1].TakeReady().ReadsGranted.ToArray()).RequestId);
        lab[1].SharedHeartbeatAnswered(new(3), 11);
        Assert.Equal(8UL, Assert.Single(lab[1].TakeReady().ReadsGranted.ToArray()).RequestId);
    }

    [Fact]
    public void A_majority_has_to_agree_and_one_peer_that_agrees_twice_is_one()
    {
        Lab lab = Calm(voters: 5);
        lab[1].RequestRead(7);
        _ = lab[1].TakeReady();
        lab[1].SharedHeartbeatSent(1);
        lab[1].SharedHeartbeatAnswered(new(2), 1);
        lab[1].SharedHeartbeatAnswered(new(2), 2);
        Assert.Empty(lab[1].TakeReady().ReadsGranted.ToArray());
        lab[1].SharedHeartbeatAnswered(new(4), 1);
        Assert.Single(lab[1].TakeReady().ReadsGranted.ToArray());
    }

    [Fact]
    public void A_group_whose_shared_heartbeat_is_refused_sends_its_own()
    {
        Lab lab = Calm();
        lab[1].RequestRead(7);
        _ = lab[1].TakeReady();
        lab[1].SharedHeartbeatSent(1);
        lab[1].SharedHeartbeatRefused(onlyForReads: true);
        lab.Pump(1);
        Assert.Equal(1UL, lab.Last<Heartbeat>(1, 2).ReadSequence);
        lab.Deliver(1, 2);
        lab.Deliver(2, 1);
        Assert.Equal(7UL, Assert.Single(lab.Granted).Grant.RequestId);

        // Nothing waits now, so only a refusal of a steady heartbeat makes it speak.
        lab.Drop(1, 3);
        lab[1].SharedHeartbeatRefused(onlyForReads: true);
        lab.Pump(1);
        Assert.Empty(lab.InFlight(1, 3));
        lab[1].SharedHeartbeatRefused(onlyForReads: false);
        lab.Pump(1);
        Assert.Single(lab.InFlight(1, 3).OfType<Heartbeat>());
    }

    [Fact]
    public void A_lost_proof_is_asked_for_again_with_the_next_steady_heartbeat()
    {
        Lab lab = Calm();
        lab[1].RequestRead(7);
        Assert.True(lab[1].TakeReady().WantsProof);
        lab[1].SharedHeartbeatSent(1);
        bool wanted = false;
        for (int tick = 0; tick < Shared.HeartbeatTicks; tick++)
        {
            lab[1].Tick();
            wanted |= lab[1].TakeReady().WantsProof;
        }

        Assert.True(wanted);
        lab[1].SharedHeartbeatSent(2);
        lab[1].SharedHeartbeatAnswered(new(3), 2);
        Assert.Single(lab[1].TakeReady().ReadsGranted.ToArray());
    }

    [Fact]
    public void An_answer_from_before_a_leadership_proves_nothing_in_it()
    {
        Lab lab = Calm();
        lab[1].RequestRead(7);
        _ = lab[1].TakeReady();
        lab[1].SharedHeartbeatSent(5);
        lab.Elect(2);
        lab.Settle();
        lab.Elect(1);
        lab.Settle();
        Assert.Equal(RaftRole.Leader, lab[1].Role);
        lab[1].RequestRead(8);
        _ = lab[1].TakeReady();
        lab[1].SharedHeartbeatSent(6);
        lab[1].SharedHeartbeatAnswered(new(2), 5);
        lab[1].SharedHeartbeatAnswered(new(3), 5);
        Assert.Empty(lab[1].TakeReady().ReadsGranted.ToArray());
    }

    [Fact]
    public void A_follower_that_hears_shared_heartbeats_stays_and_one_that_does_not_stands_for_election()
    {
        Lab lab = Calm();
        const ulong calmUntil = 1_000;
        lab[2].SetClock(calmUntil);
        for (int tick = 0; tick < 200; tick++)
        {
            lab[2].SetClock(calmUntil + (ulong)tick);
            lab[2].Tick();
            lab[2].SharedHeartbeatReceived(new(1), calmUntil + (ulong)tick - 3);
            lab[3].Tick();
            lab[3].SharedHeartbeatReceived(new(1), 0);
        }

        Assert.Equal(RaftRole.Follower, lab[2].Role);
        Assert.Equal(new NodeId(1), lab[2].Leader);
        Assert.Equal(RaftRole.PreCandidate, lab[3].Role);

        // Nor does it help another to an election meanwhile.
        lab.Pump(3);
        lab.Deliver(3, 2);
        Assert.False(lab.Last<RequestVoteResponse>(2, 3).IsGranted);
    }

    [Fact]
    public void Shared_heartbeats_of_a_node_that_does_not_lead_do_not_prevent_an_election()
    {
        Lab lab = Calm();
        for (int tick = 0; tick < 200; tick++)
        {
            lab[2].Tick();
            lab[2].SharedHeartbeatReceived(new(3), 1_000);
        }

        Assert.Equal(RaftRole.PreCandidate, lab[2].Role);
    }

    [Fact]
    public void Leases_need_heartbeats_of_the_groups_own()
    {
        HengeException e = Assert.Throws<HengeException>(() =>
            new RaftOptions
            {
                Self = new(1),
                SharedHeartbeats = true,
                LeaseReads = true,
            }.Validate());
        Assert.Contains(nameof(RaftOptions.SharedHeartbeats), e.Message);
    }

    /// <summary>A group in which node 1 leads, and everybody has everything and knows it.</summary>
    private static Lab Calm(int voters = 3)
    {
        Lab lab = new(voters, Shared);
        lab.Elect(1);
        lab.Settle();
        for (int i = 0; i < 4; i++)
        {
            lab.Tick(1, Shared.HeartbeatTicks);
            lab.Settle();
        }

        return lab;
    }
}
