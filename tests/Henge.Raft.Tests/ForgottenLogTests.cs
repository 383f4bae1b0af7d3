using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>A replica that has dropped its log answers for it, and what it had acknowledged before that counts for nothing.</summary>
public sealed class ForgottenLogTests
{
    private static readonly NodeId Self = new(1);
    private static readonly NodeId[] Old = [new(1), new(2), new(3)];

    [Fact]
    public void It_votes_for_nobody_who_is_behind_what_it_has_dropped()
    {
        Assert.False(AnswerTo(Begin(), lastIndex: 8, lastTerm: 3).IsGranted);
        Assert.False(AnswerTo(Begin(), lastIndex: 9, lastTerm: 5).IsGranted);
        Assert.True(AnswerTo(Begin(), lastIndex: 10, lastTerm: 5).IsGranted);
        Assert.True(AnswerTo(Begin(), lastIndex: 2, lastTerm: 6).IsGranted);
        Assert.True(AnswerTo(Begin(bugs: RaftBugs.ForgetDroppedLog), lastIndex: 8, lastTerm: 3).IsGranted);
    }

    [Fact]
    public void It_does_not_stand_for_election_before_its_log_is_as_long_again()
    {
        RaftGroup group = Begin(membership: new Membership([Self]));
        for (int tick = 0; tick < 200; tick++)
        {
            group.Tick();
        }

        Assert.Equal(RaftRole.Follower, group.Role);
        Assert.Equal(new Term(5), group.Term);
        group = Begin(membership: new Membership([Self]), bugs: RaftBugs.ForgetDroppedLog);
        for (int tick = 0; tick < 200; tick++)
        {
            group.Tick();
        }

        Assert.Equal(RaftRole.Candidate, group.Role);
    }

    [Fact]
    public void A_late_heartbeat_to_what_it_was_does_not_look_like_lost_data()
    {
        RaftGroup group = Begin();
        group.Receive(new Heartbeat { From = new(2), To = Self, Term = new(5), Commit = new LogIndex(9) });
        Assert.Equal(LogIndex.Zero, group.CommitIndex);
        Assert.ThrowsAny<Exception>(() =>
            group.Receive(new Heartbeat { From = new(2), To = Self, Term = new(5), Commit = new LogIndex(11) }));
    }

    [Fact]
    public void What_it_acknowledged_before_it_left_counts_for_nothing_when_it_is_taken_in_again()
    {
        Assert.Equal(LogIndex.Zero, MatchAfterLateAnswer(RaftBugs.None, out MembershipStatus promoted));
        Assert.Equal(MembershipStatus.NotCaughtUp, promoted);
        Assert.NotEqual(LogIndex.Zero, MatchAfterLateAnswer(RaftBugs.CountEarlierLives, out promoted));

        // Whatever it had, it has not got the membership that takes it in.
        Assert.Equal(MembershipStatus.NotCaughtUp, promoted);
    }

    [Fact]
    public void A_learner_gets_no_vote_before_it_has_said_that_it_has_anything()
    {
        Lab lab = new([1, 2], [3]);
        lab.Elect(1);
        lab.Settle();
        lab.AddNode(4);
        lab.Change(1, [1, 2], [3, 4]);
        lab.Settle(4);
        Assert.Equal(MembershipStatus.NotCaughtUp, lab.Change(1, [1, 2, 4], [3]).Status);
        for (int round = 0; round < 20; round++)
        {
            lab.Tick(1);
            lab.Settle();
        }

        Assert.Equal(MembershipStatus.Accepted, lab.Change(1, [1, 2, 4], [3]).Status);
    }

    // Node 3 leaves, drops all it has, and is taken in again; an answer that it gave before comes late.
    private static LogIndex MatchAfterLateAnswer(RaftBugs bugs, out MembershipStatus promoted)
    {
        Lab lab = new([1, 2, 3], [], new RaftOptions { Self = Self, RemovedIdsMayReturn = true, Bugs = bugs });
        lab.Elect(1);
        lab.Propose(1, "x");
        lab.Settle();
        LogIndex had = lab[3].LastIndex;
        lab.Change(1, [1, 2]);
        lab.Settle();
        lab.Change(1, [1, 2], [3]);
        lab.Settle(3);
        lab.DropAll(3);
        lab.Receive(1, new AppendEntriesResponse { From = new(3), To = new(1), Term = lab[1].Term, Index = had });
        List<PeerStatus> peers = [];
        lab[1].GetPeers(peers);
        promoted = lab.Change(1, [1, 2, 3]).Status;
        return peers.Single(static p => p.Id == new NodeId(3)).Match;
    }

    private static RaftGroup Begin(Membership? membership = null, RaftBugs bugs = RaftBugs.None) => new(
        new RaftOptions { Self = Self, Bugs = bugs },
        new MemoryRaftLog(),
        new RestoredState
        {
            HardState = new HardState(new Term(5), NodeId.None, LogIndex.Zero),
            Membership = membership ?? new Membership(Old),
            Forgotten = new ForgottenLog(new LogIndex(10), new Term(5)),
        },
        new SplitMix64Random(1));

    private static RequestVoteResponse AnswerTo(RaftGroup group, ulong lastIndex, ulong lastTerm)
    {
        // After the promises of before are over.
        for (int tick = 0; tick < 100; tick++)
        {
            group.Tick();
        }

        group.TakeReady();
        group.Receive(new RequestVote
        {
            From = new(2),
            To = Self,
            Term = group.Term.Next,
            IsPreVote = true,
            LastIndex = new LogIndex(lastIndex),
            LastTerm = new Term(lastTerm),
        });
        return Assert.IsType<RequestVoteResponse>(Assert.Single(group.TakeReady().Messages.ToArray()));
    }
}
