using Henge.Core;

namespace Henge.Raft;

// Leadership transfer: thesis, section 3.10.
public sealed partial class RaftGroup
{
    private NodeId _transferTarget;
    private bool _isTimeoutNowDue;

    /// <summary>Whom leadership is being handed over to; <see cref="NodeId.None"/> when it is not.</summary>
    public NodeId TransferTarget => _transferTarget;

    /// <summary>
    /// Hands leadership over to a voter: brings it up to date, then asks it to start an election at once. Proposals are refused meanwhile.
    /// Gives up at the next check of the quorum, so after a shortest election timeout at the most; the target may still win after that.
    /// While membership is joint, outgoing voters count, too: until the change is done, each of them may lead (Raft paper, section 6).
    /// </summary>
    public TransferStatus TransferLeadership(NodeId target)
    {
        if (Role != RaftRole.Leader)
        {
            return TransferStatus.NotLeader;
        }

        if (target == _self)
        {
            return TransferStatus.AlreadyLeader;
        }

        if (!Membership.IsVoter(target) || ProgressOf(target) is not { } progress)
        {
            return TransferStatus.NotAVoter;
        }

        if (!_transferTarget.IsNone)
        {
            return TransferStatus.AlreadyTransferring;
        }

        _transferTarget = target;
        // The whole time for it, and the quorum is checked anew after that.
        _electionElapsed = 0;
        progress.IsProbePaused = false;
        progress.WantsEmptyAppend = true;
        _isReplicationDue = true;
        ContinueTransfer(progress);
        return TransferStatus.Started;
    }

    private void ContinueTransfer(Progress progress)
    {
        if (Role == RaftRole.Leader && progress.Id == _transferTarget && progress.Match == _log.LastIndex)
        {
            _isLeaseVoid = true;
            _isTimeoutNowDue = true;
        }
    }

    /// <summary>Last of all messages: what came after it would only be refused by a target that is a candidate by then.</summary>
    private void SendTimeoutNow()
    {
        if (_isTimeoutNowDue)
        {
            _isTimeoutNowDue = false;
            _outbox.Add(new TimeoutNow { From = _self, To = _transferTarget, Term = Term });
        }
    }

    private void EndTransfer()
    {
        _transferTarget = NodeId.None;
        _isTimeoutNowDue = false;
    }

    private void OnTimeoutNow(TimeoutNow m)
    {
        if (Role == RaftRole.Follower && Leader == m.From && MayCampaign)
        {
            Campaign(isTransfer: true);
        }
    }
}
