using Henge.Core;

namespace Henge.Raft;

// Heartbeats that the groups of a node share: one for each pair of nodes says what many would, as long as the receiver agrees about which
// groups the sender leads, and in which terms. To find that out is the caller's affair (README.md, "Many groups"); here is what a group
// makes of it.
public sealed partial class RaftGroup
{
    /// <summary>
    /// More shared heartbeats than this under way with reads that wait for them: the oldest are forgotten, and the next one answers for
    /// their reads.
    /// </summary>
    private const int MaxProofMarks = 16;

    /// <summary>
    /// So many ticks after a heartbeat of the group's own a peer gets another one, whatever is known of it. A peer that restarts has
    /// forgotten the latest commits, and a leader that is not asked does not notice: an old message that reached the peer first may have it
    /// agree with shared heartbeats.
    /// </summary>
    internal const ulong OwnHeartbeatTicks = 1_000;

    // Shared heartbeats that left, and the latest read that had come before each. Both numbers rise.
    private readonly Queue<(ulong Number, ulong Sequence)> _proofMarks = new();
    private bool _isProofWanted;
    private bool _isOwnHeartbeatWanted;

    /// <summary>
    /// A shared heartbeat with this number is about to leave: it proves leadership for the reads that have come so far. Numbers rise.
    /// </summary>
    public void SharedHeartbeatSent(ulong number)
    {
        if (Role != RaftRole.Leader || !_reads.IsWaiting)
        {
            return;
        }

        if (_proofMarks.Count == MaxProofMarks)
        {
            _proofMarks.Dequeue();
        }

        _proofMarks.Enqueue((number, _reads.LastSequence));
    }

    /// <summary>
    /// A peer has agreed with a shared heartbeat: when it answered, it followed this node in this group, in the term in which this node led
    /// when the heartbeat left. For a heartbeat of an earlier leadership of this node it must not be called, unless this one's reads were
    /// announced with a later number.
    /// </summary>
    public void SharedHeartbeatAnswered(NodeId peer, ulong number)
    {
        if (Role != RaftRole.Leader || ProgressOf(peer) is not { } progress)
        {
            return;
        }

        progress.IsRecentlyActive = true;
        ulong proven = 0;
        foreach ((ulong sent, ulong sequence) in _proofMarks)
        {
            if (sent <= number)
            {
                proven = sequence;
            }
        }

        if (proven > progress.AckedRead)
        {
            progress.AckedRead = proven;
            GrantProvenReads();
            if (!_reads.IsWaiting)
            {
                _proofMarks.Clear();
            }
        }
    }

    /// <summary>A peer does not agree with a shared heartbeat, about this group or another: this group speaks for itself.</summary>
    /// <param name="onlyForReads">Only if reads wait.</param>
    public void SharedHeartbeatRefused(bool onlyForReads)
    {
        if (Role == RaftRole.Leader && (!onlyForReads || _reads.IsWaiting))
        {
            _isHeartbeatDue = true;
            _isOwnHeartbeatWanted = true;
        }
    }

    /// <summary>
    /// The leader that this node follows has sent a shared heartbeat, and this node has agreed with it, in a tick of the clock
    /// (<see cref="SetClock"/>).
    /// </summary>
    public void SharedHeartbeatReceived(NodeId leader, ulong tick)
    {
        ulong ticksAgo = Now - Math.Min(Now, tick);
        if (Role == RaftRole.Follower && Leader == leader && ticksAgo < (ulong)_electionElapsed)
        {
            _electionElapsed = (int)ticksAgo;
            PromiseSince(Math.Min(Now, tick));
        }
    }

    /// <summary>Whether nothing of what a heartbeat of the group's own would say is news to a peer.</summary>
    private bool IsCoveredBySharedHeartbeat(Progress progress)
    {
        if (!_options.SharedHeartbeats || _isOwnHeartbeatWanted || progress.State != PeerState.Replicate || progress.Match != _log.LastIndex
            || progress.KnownCommit != _commit || Now >= progress.CommitSentTick + OwnHeartbeatTicks)
        {
            return false;
        }

        _ready.WantsHeartbeat = true;
        return true;
    }

    /// <summary>A shared heartbeat, or an answer, may have been lost.</summary>
    private void AskForProofAgain() => _isProofWanted |= _options.SharedHeartbeats && _reads.IsWaiting;

    private bool TakeWantsProof()
    {
        bool wants = _isProofWanted && Role == RaftRole.Leader && _reads.IsWaiting;
        _isProofWanted = false;
        return wants;
    }

    private void ForgetProofs()
    {
        _isProofWanted = false;
        _proofMarks.Clear();
    }
}
