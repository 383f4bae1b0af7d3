using Henge.Core;

namespace Henge.Raft;

/// <summary>One member of one Raft group. API surface; behaviour follows.</summary>
public sealed class RaftGroup
{
    private readonly Ready _ready = new();

    /// <summary>Starts a member from what it has persisted. It begins as a follower; a group's only voter elects itself at its first tick.</summary>
    public RaftGroup(RaftOptions options, IRaftLog log, RestoredState restored, IRandomSource random)
    {
        options.Validate();
        Options = options;
        Membership = restored.Membership;
        _ = log;
        _ = random;
    }

    /// <summary>The settings.</summary>
    public RaftOptions Options { get; }

    /// <summary>What this node is at the moment.</summary>
    public RaftRole Role { get; private set; }

    /// <summary>Who leads, as far as this node knows.</summary>
    public NodeId Leader { get; private set; }

    /// <summary>The latest term that this node has seen.</summary>
    public Term Term { get; private set; }

    /// <summary>Everything up to here is committed.</summary>
    public LogIndex CommitIndex { get; private set; }

    /// <summary>Everything up to here is applied, as reported by <see cref="Applied"/>.</summary>
    public LogIndex AppliedIndex { get; private set; }

    /// <summary>The last entry of the log, persisted or not.</summary>
    public LogIndex LastIndex { get; private set; }

    /// <summary>Everything up to here is durable on this node.</summary>
    public LogIndex PersistedIndex { get; private set; }

    /// <summary>Entries up to and including this one are gone from the log.</summary>
    public LogIndex CompactedIndex { get; private set; }

    /// <summary>The membership in force.</summary>
    public Membership Membership { get; private set; }

    /// <summary>True when <see cref="TakeReady"/> has something to say.</summary>
    public bool HasReady { get; private set; }

    /// <summary>Hands out what is to be done.</summary>
    public Ready TakeReady()
    {
        _ready.Clear();
        return _ready;
    }

    /// <summary>Everything in the Ready with this ticket, and in those before it, is durable.</summary>
    public void Persisted(ulong ticket) => _ = ticket;

    /// <summary>The state machine has applied everything up to an index.</summary>
    public void Applied(LogIndex index) => AppliedIndex = index;

    /// <summary>A tick of time has passed.</summary>
    public void Tick() => HasReady = false;

    /// <summary>Starts an election now instead of waiting for the timeout. Ignored by a leader and by a node that has no vote.</summary>
    public void Campaign() => HasReady = false;

    /// <summary>A message has come from a peer.</summary>
    public void Receive(RaftMessage message) => _ = message;

    /// <summary>Proposes an entry.</summary>
    public ProposeResult Propose(ReadOnlyMemory<byte> data)
    {
        _ = data;
        return new ProposeResult(ProposeStatus.NotLeader, default, Term, Leader);
    }

    /// <summary>Proposes entries: all of them or none.</summary>
    public ProposeResult Propose(ReadOnlySpan<ReadOnlyMemory<byte>> batch)
    {
        _ = batch;
        return new ProposeResult(ProposeStatus.NotLeader, default, Term, Leader);
    }

    /// <summary>Asks for a linearizable read; works on leader and followers. Comes out in <see cref="Ready.ReadsGranted"/> or <see cref="Ready.ReadsFailed"/>. Ids are the caller's affair; a batch of reads needs only one.</summary>
    public void RequestRead(ulong requestId) => _ = requestId;

    /// <summary>Grants a linearizable read at once, under the leader's lease (<see cref="RaftOptions.LeaseReads"/>).</summary>
    /// <param name="nowTicks">How many ticks have passed since the group was made, by a monotonic clock read just now, whether or not <see cref="Tick"/> has been called for each.</param>
    /// <param name="index">What must be applied before the read.</param>
    public bool TryLeaseRead(ulong nowTicks, out LogIndex index)
    {
        _ = nowTicks;
        index = default;
        return false;
    }

    /// <summary>Proposes a membership: who shall vote, who shall learn. New voters must have been learners and have caught up.</summary>
    public MembershipResult ProposeMembership(IEnumerable<NodeId> voters, IEnumerable<NodeId> learners)
    {
        _ = voters;
        _ = learners;
        return new MembershipResult(MembershipStatus.NotLeader, default, Term, Leader);
    }

    /// <summary>Hands leadership over to a voter.</summary>
    public TransferStatus TransferLeadership(NodeId target)
    {
        _ = target;
        return TransferStatus.NotLeader;
    }

    /// <summary>A snapshot for a peer starts: returns the header to send along with it, or null when the peer no longer needs one.</summary>
    /// <param name="to">As named in <see cref="Ready.SnapshotsToSend"/>.</param>
    /// <param name="index">What the snapshot covers: an applied index that is not below <see cref="CompactedIndex"/>.</param>
    public InstallSnapshot? BeginSnapshot(NodeId to, LogIndex index)
    {
        _ = to;
        _ = index;
        return null;
    }

    /// <summary>All of the snapshot has been sent.</summary>
    public void SnapshotSent(NodeId to) => _ = to;

    /// <summary>The snapshot could not be made or sent.</summary>
    public void SnapshotFailed(NodeId to) => _ = to;

    /// <summary>Forgets entries up to and including an applied index; the caller drops them from its persisted log after this call.</summary>
    public void Compact(LogIndex index) => CompactedIndex = index;

    /// <summary>Up to where the log can be compacted without sending a living peer a snapshot.</summary>
    public LogIndex CompactionHint => AppliedIndex;

    /// <summary>Older entries that were <see cref="LogReadStatus.Pending"/> can be read now.</summary>
    public void LogAvailable() => HasReady = false;

    /// <summary>The term of an entry that is still in the log, or of the one at <see cref="CompactedIndex"/>; null for others.</summary>
    public Term? TermAt(LogIndex index)
    {
        _ = index;
        return null;
    }

    /// <summary>The membership that was in force as of an applied index: what belongs into a snapshot taken there.</summary>
    public Membership MembershipAt(LogIndex index)
    {
        _ = index;
        return Membership;
    }

    /// <summary>How the leader sees its peers; empty on others.</summary>
    public void GetPeers(List<PeerStatus> into) => into.Clear();
}
