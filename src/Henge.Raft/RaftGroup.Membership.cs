using Henge.Core;

namespace Henge.Raft;

// Membership by joint consensus: Raft paper, section 6; thesis, chapter 4.
public sealed partial class RaftGroup
{
    /// <summary>The membership in force on this node: the last one in its log, committed or not.</summary>
    public Membership Membership => _memberships.Current;

    /// <summary>Where in the log the membership in force stands.</summary>
    public LogIndex MembershipIndex => _memberships.CurrentIndex;

    /// <summary>
    /// Whether this node leads and knows that the membership in force is final: committed, not joint, and it has committed an entry of its
    /// own term, so that no other is behind it in its log. Who is not in it then is counted on by nobody, now or later, for anything that
    /// came before.
    /// </summary>
    public bool IsSureOfMembership => Role == RaftRole.Leader && IsOwnTermCommitted && !Membership.IsJoint && MembershipIndex <= _commit;

    /// <summary>
    /// The membership as of an index that is not compacted: what belongs into a snapshot of the state machine taken there.
    /// </summary>
    public Membership MembershipAt(LogIndex index) => _memberships.At(index);

    /// <summary>
    /// Proposes who shall be voters and who learners. A new voter must be a learner that has caught up, at least to the membership in
    /// force. When the voters change, the group goes through a joint membership and leaves it by itself as soon as that is committed; a
    /// leader that is no voter afterwards steps down when the new membership is committed.
    /// </summary>
    public MembershipResult ProposeMembership(IEnumerable<NodeId> voters, IEnumerable<NodeId> learners)
    {
        MembershipStatus status = CheckMembershipChange(voters, learners, out Membership? next);
        if (next is null)
        {
            return new MembershipResult(status, default, Term, Leader);
        }

        AppendMembership(next);
        return new MembershipResult(MembershipStatus.Accepted, _log.LastIndex, Term, Leader);
    }

    private MembershipStatus CheckMembershipChange(IEnumerable<NodeId> voters, IEnumerable<NodeId> learners, out Membership? next)
    {
        next = null;
        if (Role != RaftRole.Leader)
        {
            return MembershipStatus.NotLeader;
        }

        if (!_transferTarget.IsNone)
        {
            return MembershipStatus.Transferring;
        }

        // Without an own committed entry, two leaders could each change the membership of an older term, to memberships whose majorities do
        // not meet.
        if (!IsOwnTermCommitted)
        {
            return MembershipStatus.LeaderNotReady;
        }

        Membership current = Membership;
        if ((current.IsJoint || _memberships.CurrentIndex > _commit) && !ChangesWhileJoint)
        {
            return MembershipStatus.ChangePending;
        }

        Membership target;
        try
        {
            target = new Membership(voters, learners);
        }
        catch (HengeException)
        {
            return MembershipStatus.Invalid;
        }

        if (target.Voters.Count == 0)
        {
            return MembershipStatus.Invalid;
        }

        if (target.VotersSpan.SequenceEqual(current.VotersSpan) && target.Learners.SequenceEqual(current.Learners))
        {
            return MembershipStatus.Unchanged;
        }

        foreach (NodeId id in target.All)
        {
            if (current.IsRemoved(id) && !_options.RemovedIdsMayReturn)
            {
                return MembershipStatus.IdRetired;
            }

            if (!target.IsVoter(id) || current.IsVoter(id))
            {
                continue;
            }

            if (!current.IsLearner(id))
            {
                return MembershipStatus.NotALearner;
            }

            if (
                (ProgressOf(id) is not { State: PeerState.Replicate } progress
                    || progress.Match < MembershipIndex
                    || progress.Match.Value + _options.PromotionLagEntries < _commit.Value)
                && !PromotesAnyLearner)
            {
                return MembershipStatus.NotCaughtUp;
            }
        }

        List<NodeId> removed = [];
        if (!_options.RemovedIdsMayReturn)
        {
            removed.AddRange(current.Removed);
            removed.AddRange(current.Learners.Where(id => !target.IsMember(id)));
        }

        bool votersChange = !target.VotersSpan.SequenceEqual(current.VotersSpan);
        int retired = removed.Count + (votersChange ? current.Voters.Count(id => !target.IsMember(id)) : 0);
        if (retired > Membership.MaxMembers)
        {
            return MembershipStatus.Invalid;
        }

        bool isJoint = votersChange
            && !(ReplacesSilentAtOnce && current.Voters.Any(id => !target.IsVoter(id) && ProgressOf(id) is { IsRecentlyActive: false }));
        next = new Membership(target.Voters, target.Learners, isJoint ? current.Voters : null, removed);
        return MembershipStatus.Accepted;
    }

    private void AppendMembership(Membership membership)
    {
        AppendOwn(EntryKind.Membership, membership.Encode());
        _memberships.Append(_log.LastIndex, membership);
        _membershipChanged = true;
        SyncProgressWithMembership(_log.LastIndex, CountsEarlierLives ? LogIndex.Zero : _log.LastIndex);
        // A majority of the new membership may already have what the old one lacked.
        AdvanceCommit();
        GrantProvenReads();
    }

    /// <summary>
    /// Goes on once the membership in force is committed: out of the joint one, and, for a leader that is no longer needed, out of office.
    /// </summary>
    private void ContinueMembershipChange()
    {
        if (Role != RaftRole.Leader || !IsOwnTermCommitted || _memberships.CurrentIndex > _commit)
        {
            return;
        }

        if (Membership.IsJoint)
        {
            AppendMembership(Membership.LeaveJoint(keepRemoved: !_options.RemovedIdsMayReturn));
        }
        else if (!Membership.IsVoter(_self))
        {
            StepDownAsRemoved();
        }
    }

    /// <summary>
    /// The leader is no voter any more (Raft paper, section 6). It says what is committed, and asks the member that is furthest along to
    /// take over without a wait.
    /// </summary>
    private void StepDownAsRemoved()
    {
        _isReplicationDue = true;
        SendToPeers();
        Progress? successor = null;
        foreach (Progress progress in _progress)
        {
            if (Membership.IsVoter(progress.Id) && (successor is null || progress.Match > successor.Match))
            {
                successor = progress;
            }
        }

        if (successor is not null)
        {
            _outbox.Add(new TimeoutNow { From = _self, To = successor.Id, Term = Term });
        }

        BecomeFollower(Term, NodeId.None);
    }
}
