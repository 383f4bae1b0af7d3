using Henge.Core;

namespace Henge.Raft;

/// <summary>
/// One member of one Raft group: a deterministic state machine without I/O, clock or threads. Events go in by its methods, effects come out
/// by <see cref="TakeReady"/>. What the caller owes it is in the manual, README.md beside this file; <see cref="Ready"/> says what to do
/// with what comes out.
/// </summary>
/// <remarks>
/// <para>Not thread-safe: one caller at a time, and never from within another call.</para>
/// <para>After the Raft paper (Ongaro, Ousterhout: "In search of an understandable consensus algorithm", extended version, 2014) and the
/// thesis (Ongaro: "Consensus: bridging theory and practice", 2014). PreVote and check-quorum are always on.</para>
/// </remarks>
public sealed partial class RaftGroup
{
    private readonly RaftOptions _options;
    private readonly IRandomSource _random;
    private readonly NodeId _self;
    private readonly EntryLog _log;
    private readonly PersistQueue _persist;
    private readonly MembershipLog _memberships;
    private readonly Ready _ready = new();

    // Messages that may leave, until the next Ready takes them.
    private readonly List<RaftMessage> _outbox = [];

    private NodeId _votedFor;
    private LogIndex _commit;
    private ulong _ticks;
    private ulong _clock;
    private int _electionElapsed;
    private int _electionTimeout;

    // What the last Ready said, to see what has changed.
    private (RaftRole Role, NodeId Leader, Term Term) _reported;
    private bool _membershipChanged;

    /// <summary>
    /// Starts a member from what it has persisted. It begins as a follower; the only voter of a group elects itself at its first tick.
    /// </summary>
    /// <param name="options">Settings; checked.</param>
    /// <param name="log">The persisted log; read through once, and later for older entries.</param>
    /// <param name="restored">The rest of what was persisted.</param>
    /// <param name="random">Random numbers; should differ from node to node and from start to start.</param>
    /// <exception cref="HengeException"><see cref="ErrorCode.InvalidArgument"/>: a setting makes no sense.
    /// <see cref="ErrorCode.Corruption"/>: the parts of the persisted state do not fit together.</exception>
    public RaftGroup(RaftOptions options, IRaftLog log, RestoredState restored, IRandomSource random)
    {
        options.Validate();
        _options = options;
        _random = random;
        _self = options.Self;
        Require(
            restored.Applied >= log.CompactedIndex,
            $"the log begins behind index {log.CompactedIndex}, but the state machine has applied only up to {restored.Applied}");
        Require(
            restored.Applied <= log.LastIndex,
            $"the state machine has applied up to index {restored.Applied}, but the log ends at {log.LastIndex}");
        Require(
            restored.MembershipIndex <= restored.Applied,
            $"the membership is of index {restored.MembershipIndex}, which is beyond the applied {restored.Applied}");
        Require(
            restored.HardState.Commit <= log.LastIndex,
            $"index {restored.HardState.Commit} was committed, but the log ends at {log.LastIndex}: synced data is lost");

        _memberships = new MembershipLog(restored.Membership, restored.MembershipIndex);
        _log = new EntryLog(log, Math.Min(options.RecentEntriesLimitBytes, options.SettledEntriesLimitBytes));
        _log.Restore(entry =>
        {
            if (entry.Kind == EntryKind.Membership && entry.Index > restored.MembershipIndex)
            {
                _memberships.Append(entry.Index, DecodeMembership(entry));
            }
        });
        Term = restored.HardState.Term;
        Require(Term >= _log.LastTerm, $"the log has an entry of term {_log.LastTerm}, but the persisted term is {Term}");
        _votedFor = restored.HardState.VotedFor;
        Forgotten = restored.Forgotten;
        _persist = new PersistQueue(_log.LastIndex);
        AppliedIndex = restored.Applied;
        _handedOut = restored.Applied;
        _commit = restored.HardState.Commit > restored.Applied ? restored.HardState.Commit : restored.Applied;
        _forwardedReads = new ForwardedReads(random.NextUInt64());
        _clock = restored.Clock;
        _refuseVotesUntil = MayHavePromised ? _clock + (ulong)options.ElectionTimeoutMinTicks : 0;
        _reported = (Role, Leader, Term);
        _membershipChanged = true;
        ResetElectionTimer();
    }

    /// <summary>The settings.</summary>
    public RaftOptions Options => _options;

    /// <summary>What this node is at the moment.</summary>
    public RaftRole Role { get; private set; }

    /// <summary>Who leads, as far as this node knows; <see cref="NodeId.None"/> when it does not.</summary>
    public NodeId Leader { get; private set; }

    /// <summary>True while it leads, or has heard a leader within the shortest election timeout.</summary>
    public bool HearsLeader => IsLeaderAlive;

    /// <summary>The latest term that this node has seen.</summary>
    public Term Term { get; private set; }

    /// <summary>Whom this node voted for in <see cref="Term"/>.</summary>
    public NodeId VotedFor => _votedFor;

    /// <summary>Everything up to here is committed, as far as this node knows.</summary>
    public LogIndex CommitIndex => _commit;

    /// <summary>
    /// What of <see cref="CommitIndex"/> is durable on this node: the commit index to write down, if the caller writes one by itself. One
    /// that is beyond the persisted entries would, after a crash, look like entries that were lost.
    /// </summary>
    public LogIndex DurableCommitIndex => _commit < _persist.PersistedIndex ? _commit : _persist.PersistedIndex;

    /// <summary>Everything up to here is applied, as reported by <see cref="Applied"/>.</summary>
    public LogIndex AppliedIndex { get; private set; }

    /// <summary>The last entry of the log, persisted or not.</summary>
    public LogIndex LastIndex => _log.LastIndex;

    /// <summary>The term of the entry at <see cref="LastIndex"/>.</summary>
    public Term LastTerm => _log.LastTerm;

    /// <summary>Everything up to here is durable on this node; 0 while a snapshot is being installed.</summary>
    public LogIndex PersistedIndex => _persist.PersistedIndex;

    /// <summary>
    /// What an earlier life of this replica had and dropped. To be persisted with all that is compacted below its index.
    /// </summary>
    public ForgottenLog Forgotten { get; }

    /// <summary>Entries up to and including this one are gone from the log.</summary>
    public LogIndex CompactedIndex => _log.CompactedIndex;

    /// <summary>Bytes of recent entries that the group keeps in memory.</summary>
    public long RecentEntriesBytes => _log.MemoryBytes;

    /// <summary>The term of an entry that is still in the log, or of the one at <see cref="CompactedIndex"/>; null for others.</summary>
    public Term? TermAt(LogIndex index) => _log.TermAt(index);

    /// <summary>
    /// How many ticks have passed since the group was made, by a monotonic clock that counts suspended time. A caller whose ticks may be
    /// late calls it before <see cref="Receive"/>, with a clock read after the message had come: a promise to a leader is counted by this
    /// clock, because a leader's lease depends on it. Without it the ticks are the clock. Earlier values than the last are ignored.
    /// </summary>
    public void SetClock(ulong nowTicks) => _clock = Math.Max(_clock, nowTicks);

    /// <summary>
    /// A tick of time has passed: call it at a steady rate, and for each tick that was missed. After a pause a few are enough. Never call
    /// it more often than the clock has ticked.
    /// </summary>
    public void Tick() => Tick(1);

    /// <summary>So many ticks have passed, 1 or more. More than one at a time only while the group rests (<see cref="Rests"/>).</summary>
    public void Tick(int ticks)
    {
        _ticks += (ulong)ticks;
        _applyIsPending = false;
        _forwardedReads.Expire(Now, _ready.PendingReadsFailed);
        _electionElapsed += ticks;
        if (Role == RaftRole.Leader)
        {
            TickLeader(ticks);
        }
        else if (Membership.IsSingleVoter(_self) && !LacksForgotten)
        {
            // Nobody else could win, so there is nothing to wait for, except for the last of a leader that is being removed: its lease may
            // rest on this node.
            if (Role == RaftRole.Follower && !IsLeaderAlive)
            {
                Campaign(isTransfer: false);
            }
        }
        else if ((_electionElapsed >= _electionTimeout || _isCampaignDeferred) && MayCampaign && !IsLeaderAlive && MayCampaignNow())
        {
            // Its own vote is one that it has promised not to give: ticks that came late must not shorten that.
            PreCampaign();
        }
    }

    /// <summary>A message has come from a peer. One that is not for this node, or from itself, is ignored.</summary>
    public void Receive(RaftMessage message)
    {
        if (message.To != _self || message.From == _self || message.From.IsNone)
        {
            return;
        }

        if (message is RequestVote vote)
        {
            OnRequestVote(vote);
            return;
        }

        if (message.Term < Term)
        {
            OnOldTerm(message);
            return;
        }

        bool isLeaderSpeaking = message is AppendEntries or Raft.Heartbeat or InstallSnapshot;
        if (message.Term > Term)
        {
            // A granted PreVote carries the term that would be; it is nobody's term yet (thesis, section 9.6).
            if (message is RequestVoteResponse { IsPreVote: true, IsGranted: true })
            {
                OnRequestVoteResponse((RequestVoteResponse)message);
                return;
            }

            BecomeFollower(message.Term, isLeaderSpeaking ? message.From : NodeId.None);
        }

        if (isLeaderSpeaking)
        {
            Invariant.Check(Role != RaftRole.Leader, "two leaders in one term (Raft paper, figure 3: election safety)");
            Invariant.Check(Leader.IsNone || Leader == message.From, "two leaders in one term (Raft paper, figure 3: election safety)");
            if (Role != RaftRole.Follower || Leader != message.From)
            {
                BecomeFollower(Term, message.From);
            }

            _electionElapsed = 0;
            PromiseSince(Now);
        }

        switch (message)
        {
            case AppendEntries m:
                OnAppendEntries(m);
                break;
            case AppendEntriesResponse m:
                OnAppendEntriesResponse(m);
                break;
            case Heartbeat m:
                OnHeartbeat(m);
                break;
            case HeartbeatResponse m:
                OnHeartbeatResponse(m);
                break;
            case InstallSnapshot m:
                OnInstallSnapshot(m);
                break;
            case RequestVoteResponse m:
                OnRequestVoteResponse(m);
                break;
            case ReadIndexRequest m:
                OnReadIndexRequest(m);
                break;
            case ReadIndexResponse m:
                OnReadIndexResponse(m);
                break;
            case TimeoutNow m:
                OnTimeoutNow(m);
                break;
            default:
                break;
        }
    }

    /// <summary>
    /// A message of an earlier term. A leader of that time must hear that its time is over, even though it speaks of a term long gone:
    /// without that, a node whose term is ahead, and whom check-quorum keeps from being elected, could never be reached again.
    /// </summary>
    private void OnOldTerm(RaftMessage message)
    {
        if (message is AppendEntries or Raft.Heartbeat or InstallSnapshot)
        {
            _outbox.Add(new AppendEntriesResponse { From = _self, To = message.From, Term = Term, IsRejected = true });
        }
    }

    /// <summary>The clock, in ticks since the group was made. What counts ticks (timeouts) may lag behind it.</summary>
    private ulong Now => Math.Max(_ticks, _clock);

    private void BecomeFollower(Term term, NodeId leader)
    {
        Invariant.Check(term >= Term, "terms never fall");
        bool wasFollower = Role == RaftRole.Follower;
        if (term > Term || leader != Leader || !wasFollower)
        {
            FailReads();
        }

        SetTerm(term);
        Role = RaftRole.Follower;
        Leader = leader;
        LeaveLeadership();
        if (!wasFollower || !leader.IsNone)
        {
            ResetElectionTimer();
        }
    }

    private void SetTerm(Term term)
    {
        if (term != Term)
        {
            Invariant.Check(term > Term, "terms never fall");
            Term = term;
            TermBegins();
            _votedFor = NodeId.None;
            _persist.HardStateChanged();
        }
    }

    private void ResetElectionTimer()
    {
        _electionElapsed = 0;
        _electionTimeout = DrawElectionTimeout();
    }

    private static Membership DecodeMembership(in Entry entry)
    {
        if (!Membership.TryDecode(entry.Data.Span, out Membership? membership))
        {
            throw new HengeException(
                ErrorCode.Corruption,
                $"The membership at index {entry.Index} of term {entry.Term} cannot be read. Rebuild this replica from its peers.");
        }

        return membership;
    }

    private static void Require(bool condition, string what)
    {
        if (!condition)
        {
            throw new HengeException(
                ErrorCode.Corruption,
                $"The persisted state of this group does not fit together: {what}. Rebuild this replica from its peers; do not start it as "
                    + $"it is.");
        }
    }
}
