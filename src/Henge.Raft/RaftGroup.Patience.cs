using Henge.Core;

namespace Henge.Raft;

// Elections that settle nothing make the next ones slower. Where a machine is overloaded, or many groups elect at once, an election can
// take longer than its timeout: then all of them fail, and each is one more load. Ethernet's answer to collisions, a range that doubles,
// ends that. It counts terms in which nothing was committed, not pre-votes: a node that is cut off does not become slow.
public sealed partial class RaftGroup
{
    /// <summary>Election timeouts are at most so many times doubled.</summary>
    internal const int MaxTimeoutDoublings = 4;

    // A group that had to wait tries again within so many ticks, at random, so that of many that wait none is always the last.
    private const ulong HeldTicks = 4;

    // Terms since the last one in which an entry of its own is known to be committed.
    private int _unsettledTerms;

    /// <summary>The first election after a term that worked is as fast as ever, and so is the second.</summary>
    private int TimeoutDoublings => Math.Clamp(_unsettledTerms - 1, 0, MaxTimeoutDoublings);

    /// <summary>
    /// How long a leader waits for a majority to answer. One that has committed nothing yet serves nobody, and gives those who voted for it
    /// time to answer.
    /// </summary>
    private int QuorumTicks =>
        IsOwnTermCommitted ? _options.ElectionTimeoutMinTicks : _options.ElectionTimeoutMinTicks << TimeoutDoublings;

    /// <summary>
    /// Whether this group shall not stand for election now, since many others do on this node. Elections that others begin, and those that
    /// a leader asks for when it hands over, go on.
    /// </summary>
    public bool HoldsElections { get; set; }

    /// <summary>How often this group has asked for votes of its own accord.</summary>
    public ulong ElectionsBegun { get; private set; }

    private bool MayCampaignNow()
    {
        if (!HoldsElections)
        {
            return true;
        }

        _electionTimeout = Math.Max(_electionTimeout, _electionElapsed + 1 + (int)(_random.NextUInt64() % HeldTicks));
        return false;
    }

    private int DrawElectionTimeout()
    {
        int doublings = TimeoutDoublings;
        ulong range = (ulong)(_options.ElectionTimeoutMaxTicks - _options.ElectionTimeoutMinTicks + 1) << doublings;
        return _options.ElectionTimeoutMinTicks + (_options.ElectionDelayTicks << doublings) + (int)(_random.NextUInt64() % range);
    }

    private void TermBegins() => _unsettledTerms = Math.Min(_unsettledTerms + 1, MaxTimeoutDoublings + 1);

    private void NoteSettledTerm(LogIndex committed)
    {
        if (_unsettledTerms > 0 && (Role == RaftRole.Leader || _log.TermAt(committed) == Term))
        {
            bool wasPatient = TimeoutDoublings > 0;
            _unsettledTerms = 0;
            if (wasPatient)
            {
                // The one that was drawn is kept for as long as the leader is heard.
                _electionTimeout = DrawElectionTimeout();
            }
        }
    }
}
