using Henge.Core;

namespace Henge.Raft;

// Elections: Raft paper, sections 5.2 and 5.4.1; PreVote: thesis, section 9.6; check-quorum and leader stickiness: thesis, sections 4.2.3
// and 6.2.
public sealed partial class RaftGroup
{
    private readonly List<(NodeId Id, bool IsGranted)> _votes = [];
    private ulong _selfVoteTicket;
    private ulong _refuseVotesUntil;
    private bool _isCampaignDeferred;

    /// <summary>
    /// Starts an election now instead of waiting for the timeout, for example at the preferred leader of a new group. It asks by PreVote
    /// first, so it does not disturb a leader that others hear. Ignored by a leader, by a node that hears one, and by a node that has no
    /// vote.
    /// </summary>
    public void Campaign()
    {
        if (IsLeaderAlive || !MayCampaign || HoldsElections)
        {
            // After a restart it is only the promise of before that it has to wait for, not a leader.
            _isCampaignDeferred = Role == RaftRole.Follower && Leader.IsNone;
            return;
        }

        if (Membership.IsSingleVoter(_self))
        {
            Campaign(isTransfer: false);
        }
        else
        {
            PreCampaign();
        }
    }

    /// <summary>
    /// A follower that hears its leader does not help anybody to become another, and neither does a leader that hears its majority: so a
    /// node that was cut off, or was removed, cannot disturb a group that works.
    /// </summary>
    /// <remarks>
    /// Counted from the last message of a leader, and kept when the term rises or the leader is forgotten: a lease rests on this promise
    /// (thesis, section 6.4.1).
    /// </remarks>
    internal bool IsLeaderAlive => Role == RaftRole.Leader || PromiseClock < _refuseVotesUntil;

    private ulong PromiseClock => PromisesByTicks ? _ticks : Now;

    /// <summary>
    /// Whether this node may have promised something before it started: then it keeps quiet for as long as that could hold. Whatever its
    /// own settings are, since the lease is the leader's (decision 0138). A new node has promised nothing; nor is there anybody who could
    /// rely on the only voter of a membership that it knows to be committed.
    /// </summary>
    private bool MayHavePromised => Term > Term.Zero
        && !(Membership.IsSingleVoter(_self) && _memberships.CurrentIndex <= _commit)
        && (_options.LeaseReads || !PromisesOnlyWithLeases);

    private void PromiseSince(ulong tick)
    {
        _isCampaignDeferred = false;
        ulong until = tick + (ulong)_options.ElectionTimeoutMinTicks;
        _refuseVotesUntil = PromisesByTicks ? _ticks + (ulong)_options.ElectionTimeoutMinTicks : Math.Max(_refuseVotesUntil, until);
    }

    /// <summary>
    /// Voters may. So may a node that the membership in force no longer counts, until it knows that to be committed (thesis, section
    /// 4.2.2): it may be the only one whose log is complete enough to be elected and commit it, while the others still wait for its vote.
    /// It does not count its own vote then.
    /// </summary>
    private bool MayCampaign => !LacksForgotten
        && (Membership.IsVoter(_self)
            || (_memberships.CurrentIndex > _commit && _memberships.Previous is { } previous && previous.IsVoter(_self)));

    private void PreCampaign()
    {
        // Neither term nor vote change here: that is the point of a PreVote.
        FailReads();
        _isCampaignDeferred = false;
        ElectionsBegun++;
        Role = RaftRole.PreCandidate;
        Leader = NodeId.None;
        ResetElectionTimer();
        _votes.Clear();
        _votes.Add((_self, true));
        AskForVotes(Term.Next, isPreVote: true, isTransfer: false);
        CountVotes();
    }

    private void Campaign(bool isTransfer)
    {
        Invariant.Check(Role != RaftRole.Leader, "a leader does not campaign");
        FailReads();
        SetTerm(Term.Next);
        _votedFor = _self;
        Role = RaftRole.Candidate;
        Leader = NodeId.None;
        ResetElectionTimer();
        _votes.Clear();
        // The vote for oneself counts, and the others are asked, when term and vote are on disk, and the entries that the candidate boasts
        // of as well.
        _selfVoteTicket = _persist.CoveringTicket(_log.LastIndex);
        AskForVotes(Term, isPreVote: false, isTransfer);
        CountSelfVote();
    }

    private void AskForVotes(Term term, bool isPreVote, bool isTransfer)
    {
        foreach (NodeId id in Electors)
        {
            if (id == _self)
            {
                continue;
            }

            RequestVote message = new()
            {
                From = _self,
                To = id,
                Term = term,
                IsPreVote = isPreVote,
                IsTransfer = isTransfer,
                LastIndex = _log.LastIndex,
                LastTerm = _log.LastTerm,
            };
            if (isPreVote || AcknowledgesBeforeSync)
            {
                _outbox.Add(message);
            }
            else
            {
                _persist.Hold(message, _log.LastIndex, _outbox);
            }
        }
    }

    private void CountSelfVote()
    {
        if (Role == RaftRole.Candidate && IsSynced(_selfVoteTicket))
        {
            RecordVote(_self, true);
            CountVotes();
        }
    }

    private void RecordVote(NodeId id, bool isGranted)
    {
        foreach ((NodeId voter, _) in _votes)
        {
            if (voter == id)
            {
                // The first answer stands; a second one is a copy.
                return;
            }
        }

        _votes.Add((id, isGranted));
    }

    private void CountVotes()
    {
        VoteOutcome outcome = QuorumMath.Outcome(Membership, _votes, static (votes, id) =>
        {
            foreach ((NodeId voter, bool isGranted) in votes)
            {
                if (voter == id)
                {
                    return isGranted;
                }
            }

            return null;
        }, IgnoresOutgoingMajority);
        if (outcome == VoteOutcome.Won || IsElectedByAnybody)
        {
            if (Role == RaftRole.PreCandidate)
            {
                Campaign(isTransfer: false);
            }
            else
            {
                BecomeLeader();
            }
        }
        else if (outcome == VoteOutcome.Lost)
        {
            BecomeFollower(Term, NodeId.None);
        }
    }

    private void OnRequestVote(RequestVote m)
    {
        if (m.Term > Term)
        {
            if (IsLeaderAlive && !m.IsTransfer)
            {
                if (m.IsPreVote)
                {
                    AnswerVote(m, false);
                }

                return;
            }

            if (!m.IsPreVote)
            {
                BecomeFollower(m.Term, NodeId.None);
            }
        }

        // A question of an earlier term is answered as well: the answer carries the term that the asker has missed. A PreVote that nobody
        // answers could leave two nodes, one with the later term and one with the later log, waiting for each other for ever.
        bool isFree = m.IsPreVote ? m.Term > Term : m.Term == Term && _votedFor.IsNone && Leader.IsNone;
        bool isRepeated = m.Term == Term && _votedFor == m.From && !m.IsPreVote;
        bool isUpToDate = IsUpToDate(m.LastIndex, m.LastTerm);
        bool isGranted = (isFree || isRepeated || MayVoteAgain(m)) && isUpToDate;
        if (isGranted && !m.IsPreVote)
        {
            Invariant.Check(isRepeated || _votedFor.IsNone || VotesTwice, "one vote a term (Raft paper, section 5.2)");
            if (_votedFor != m.From)
            {
                _votedFor = m.From;
                _persist.HardStateChanged();
            }

            _electionElapsed = 0;
            _isCampaignDeferred = false;
        }

        AnswerVote(m, isGranted);
    }

    private void AnswerVote(RequestVote m, bool isGranted)
    {
        RequestVoteResponse answer = new()
        {
            From = _self,
            To = m.From,
            Term = isGranted ? m.Term : Term,
            IsPreVote = m.IsPreVote,
            IsGranted = isGranted,
        };
        if (m.IsPreVote || AcknowledgesBeforeSync)
        {
            _outbox.Add(answer);
        }
        else
        {
            _persist.Hold(answer, _log.LastIndex, _outbox);
        }
    }

    private void OnRequestVoteResponse(RequestVoteResponse m)
    {
        bool isExpected = m.IsPreVote
            ? Role == RaftRole.PreCandidate && m.Term == (m.IsGranted ? Term.Next : Term)
            : Role == RaftRole.Candidate && m.Term == Term;
        if (isExpected)
        {
            RecordVote(m.From, m.IsGranted);
            CountVotes();
        }
    }

    private void BecomeLeader()
    {
        Invariant.Check(Role == RaftRole.Candidate, "only a candidate becomes leader");
        Invariant.Check(_votedFor == _self, "a leader has its own vote");
        Role = RaftRole.Leader;
        Leader = _self;
        ResetElectionTimer();
        EnterLeadership();
    }

    /// <summary>
    /// A leader that a majority has not answered for a whole election timeout steps down: others may have elected another, and its clients
    /// should not wait for it.
    /// </summary>
    private void CheckQuorum()
    {
        VoteOutcome outcome = QuorumMath.Outcome(Membership, this, static (group, id) =>
            id == group._self || (group.ProgressOf(id)?.IsRecentlyActive ?? false));
        foreach (Progress progress in _progress)
        {
            progress.IsRecentlyActive = false;
        }

        if (outcome != VoteOutcome.Won)
        {
            BecomeFollower(Term, NodeId.None);
        }
    }
}
