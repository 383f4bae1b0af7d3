using Henge.Core;

namespace Henge.Raft;

// Linearizable reads without a log entry: thesis, section 6.4 (ReadIndex) and 6.4.1 (leases).
public sealed partial class RaftGroup
{
    private readonly ReadQueue _reads = new();
    private readonly ForwardedReads _forwardedReads;

    // A TimeoutNow of this term may still be under way: its receiver will not respect the lease, whenever it arrives.
    private bool _isLeaseVoid;

    /// <summary>
    /// Asks for a linearizable read, on the leader or on a follower (which asks its leader). It comes out in
    /// <see cref="Ready.ReadsGranted"/> with the index to apply first, or in <see cref="Ready.ReadsFailed"/>: at a change of leader, when
    /// there is none, or when there are more than <see cref="RaftOptions.PendingReadsLimit"/>. Everything asked before one
    /// <see cref="TakeReady"/> shares one round of heartbeats.
    /// </summary>
    /// <param name="requestId">The caller's own; only handed back. One id can stand for a whole batch of reads that arrived before this
    /// call.</param>
    public void RequestRead(ulong requestId)
    {
        if (Role == RaftRole.Leader)
        {
            if (!TryAddRead(_self, requestId))
            {
                _ready.PendingReadsFailed.Add(requestId);
            }
        }
        else if (Leader.IsNone || _forwardedReads.Count >= _options.PendingReadsLimit)
        {
            _ready.PendingReadsFailed.Add(requestId);
        }
        else
        {
            ulong number = _forwardedReads.Add(requestId, Now + (ulong)_options.ElectionTimeoutMinTicks);
            _outbox.Add(new ReadIndexRequest { From = _self, To = Leader, Term = Term, Number = number });
        }
    }

    /// <summary>
    /// Grants a linearizable read at once, without a message, while this leader holds a lease (<see cref="RaftOptions.LeaseReads"/>): a
    /// majority has answered a heartbeat that was sent less than a shortest election timeout ago (less the drift bound), and will not elect
    /// another before that has passed. False: use <see cref="RequestRead"/>.
    /// </summary>
    /// <param name="nowTicks">How many ticks have passed since the group was made, by a monotonic clock (one that counts suspended time)
    /// read by the caller just before this call, whether or not <see cref="Tick()"/> has been called for each yet; Tick must never have
    /// been called more often than that.</param>
    /// <param name="index">What must be applied before the read.</param>
    /// <param name="endsAtTick">The tick of that clock with which the lease ends, unless it is renewed: an answer that leaves later is not
    /// covered by it.</param>
    public bool TryLeaseRead(ulong nowTicks, out LogIndex index, out ulong endsAtTick)
    {
        index = _commit;
        endsAtTick = 0;
        if (!_options.LeaseReads || !IsOwnTermCommitted || ((_isLeaseVoid || !_transferTarget.IsNone) && !KeepsLeaseInTransfer))
        {
            return false;
        }

        ulong proven = QuorumMath.Reached(Membership, this, static (group, id) =>
            id == group._self ? ulong.MaxValue : group.ProgressOf(id)?.AckedTick ?? 0);
        if (proven is 0 or ulong.MaxValue)
        {
            endsAtTick = proven;
            return proven == ulong.MaxValue;
        }

        // Two ticks for rounding: a follower may have counted a tick right after the heartbeat came, and the caller's clock may be about
        // to.
        ulong lease = (ulong)(_options.ElectionTimeoutMinTicks - _options.LeaseDriftTicks - 2);
        endsAtTick = proven + lease - 1;
        return Math.Max(nowTicks, Now) < endsAtTick;
    }

    private bool TryAddRead(NodeId requester, ulong id)
    {
        if (_reads.Count >= _options.PendingReadsLimit)
        {
            return false;
        }

        if (!MayServeReads)
        {
            // It may not know yet what its predecessor committed (thesis, section 6.4, step 1).
            _reads.AddDeferred(requester, id);
            return true;
        }

        AddRead(requester, id);
        GrantProvenReads();
        return true;
    }

    private void AddRead(NodeId requester, ulong id)
    {
        _reads.Add(requester, id, _commit);
        if (_options.SharedHeartbeats)
        {
            _isProofWanted = true;
        }
        else
        {
            _isHeartbeatDue = true;
        }
    }

    private void StartDeferredReads()
    {
        while (_reads.TryTakeDeferred(out (NodeId Requester, ulong Id) read))
        {
            AddRead(read.Requester, read.Id);
        }

        GrantProvenReads();
    }

    private void GrantProvenReads()
    {
        if (!_reads.IsWaiting)
        {
            return;
        }

        ulong proven = SkipsReadBarrier ? ulong.MaxValue : QuorumMath.Reached(Membership, this, static (group, id) =>
            id == group._self ? ulong.MaxValue : group.ProgressOf(id)?.AckedRead ?? 0);
        while (_reads.TryTake(proven, out NodeId requester, out ulong id, out LogIndex index))
        {
            if (requester == _self)
            {
                _ready.PendingReadsGranted.Add(new ReadGrant(id, index));
            }
            else
            {
                _outbox.Add(new ReadIndexResponse { From = _self, To = requester, Term = Term, Number = id, Index = index });
            }
        }
    }

    private void OnReadIndexRequest(ReadIndexRequest m)
    {
        if (Role == RaftRole.Leader && MayServeReads && IsProvenBy(m.From))
        {
            _outbox.Add(new ReadIndexResponse { From = _self, To = m.From, Term = Term, Number = m.Number, Index = _commit });
            return;
        }

        if (Role != RaftRole.Leader || !TryAddRead(m.From, m.Number))
        {
            _outbox.Add(new ReadIndexResponse { From = _self, To = m.From, Term = Term, Number = m.Number, IsFailed = true });
        }
    }

    /// <summary>
    /// Whether a follower's question is by itself the proof that this node led when the question was asked: it is of this term, so where
    /// the two are a majority (of three voters they are), none can have elected another leader before. What that proves is proven for the
    /// reads that the follower asks for, not for others that came later than it asked.
    /// </summary>
    private bool IsProvenBy(NodeId follower) =>
        QuorumMath.Outcome(Membership, (_self, follower), static (pair, id) => id == pair._self || id == pair.follower) == VoteOutcome.Won;

    private void OnReadIndexResponse(ReadIndexResponse m)
    {
        if (!_forwardedReads.TryTake(m.Number, out ulong id))
        {
            return;
        }

        if (m.IsFailed)
        {
            _ready.PendingReadsFailed.Add(id);
        }
        else
        {
            _ready.PendingReadsGranted.Add(new ReadGrant(id, m.Index));
        }
    }

    private void FailReads()
    {
        _reads.Fail(_self, _ready.PendingReadsFailed);
        _forwardedReads.Fail(_ready.PendingReadsFailed);
    }
}
