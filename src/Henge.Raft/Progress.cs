using Henge.Core;

namespace Henge.Raft;

/// <summary>
/// What a leader knows of one member. Match is what is certain (durable there and equal), Next is what is sent next; Match is less than
/// Next, always.
/// </summary>
/// <remarks>
/// <list type="bullet">
/// <item>Probe: the leader does not know where the logs agree; one append, then it waits for an answer or a heartbeat's answer.</item>
/// <item>Replicate: they agree; appends go out optimistically, Next runs ahead of Match by what is in flight.</item>
/// <item>Snapshot: the entries that the member needs are gone; nothing is sent until the snapshot is through or has failed.</item>
/// </list>
/// </remarks>
/// <param name="id">The member.</param>
/// <param name="next">What to send first.</param>
/// <param name="limitMessages">The window.</param>
/// <param name="limitBytes">The window.</param>
/// <param name="countsFrom">
/// Where the membership stands by which this leader let it in; 0 when it was a member all the time. What it acknowledges below that may
/// have been under way since before it left, and be of a log that it has dropped: it guides what is sent, and counts for nothing.
/// </param>
internal sealed class Progress(NodeId id, LogIndex next, int limitMessages, long limitBytes, LogIndex countsFrom = default)
{
    private LogIndex _acknowledged;
    private LogIndex _commitSent;
    private ulong _commitSentAtTick;

    public NodeId Id { get; } = id;

    public PeerState State { get; private set; } = PeerState.Probe;

    /// <summary>What is certain.</summary>
    public LogIndex Match => _acknowledged >= countsFrom ? _acknowledged : LogIndex.Zero;

    /// <summary>What it said last that it has; more than <see cref="Match"/> only while that may be of an earlier life.</summary>
    public LogIndex Acknowledged => _acknowledged;

    /// <summary>True when it has said so itself, in this life, that it has something.</summary>
    public bool IsCertain => _acknowledged >= countsFrom;

    public LogIndex Next { get; private set; } = next;

    public Inflights Inflights { get; } = new(limitMessages, limitBytes);

    /// <summary>In Probe: one append is on its way, and no more goes until something is heard.</summary>
    public bool IsProbePaused { get; set; }

    /// <summary>An append is to be sent even if there is nothing to put into it, to find out what the member has.</summary>
    public bool WantsEmptyAppend { get; set; }

    /// <summary>Heard from since the last check of the quorum.</summary>
    public bool IsRecentlyActive { get; set; }

    /// <summary>The highest commit index that was sent and that the member could use.</summary>
    public LogIndex SentCommit { get; set; }

    /// <summary>The highest commit index of which it is certain that the member has heard; may be behind.</summary>
    public LogIndex KnownCommit { get; private set; }

    /// <summary>In which tick a heartbeat of the group's own asked it for an answer last.</summary>
    public ulong CommitSentTick { get; private set; }

    /// <summary>The latest read number that it answered.</summary>
    public ulong AckedRead { get; set; }

    /// <summary>The latest tick, as stamped on a heartbeat by the leader, that it answered; 0 for none.</summary>
    public ulong AckedTick { get; set; }

    /// <summary>In Snapshot: what the snapshot that is being sent covers; 0 before it has begun.</summary>
    public LogIndex PendingSnapshot { get; set; }

    /// <summary>No snapshot starts before this tick.</summary>
    public ulong SnapshotNotBefore { get; set; }

    /// <summary>Whether the entries that it needs are being read from disk.</summary>
    public bool IsWaitingForLog { get; set; }

    /// <summary>A heartbeat that asks for an answer tells the member of a commit index.</summary>
    public void OnCommitSent(LogIndex commit, ulong tick)
    {
        CommitSentTick = tick;
        if (commit != _commitSent)
        {
            // Heartbeats of one tick cannot be told apart by their answers, so only those of later ticks count.
            _commitSent = commit;
            _commitSentAtTick = tick + 1;
        }
    }

    /// <summary>The member has answered a heartbeat that was sent in a tick, counted from 1.</summary>
    public void OnCommitAnswered(ulong sentTick)
    {
        if (sentTick > _commitSentAtTick)
        {
            KnownCommit = _commitSent;
        }
    }

    public void BecomeProbe()
    {
        // After a snapshot that arrived, go on behind it, not from the start.
        LogIndex after = State == PeerState.Snapshot && PendingSnapshot > _acknowledged ? PendingSnapshot : _acknowledged;
        State = PeerState.Probe;
        PendingSnapshot = default;
        IsProbePaused = false;
        Inflights.Clear();
        Next = after.Next;
    }

    public void BecomeReplicate()
    {
        State = PeerState.Replicate;
        PendingSnapshot = default;
        IsProbePaused = false;
        Inflights.Clear();
        Next = _acknowledged.Next;
    }

    public void BecomeSnapshot()
    {
        State = PeerState.Snapshot;
        PendingSnapshot = default;
        IsProbePaused = false;
        Inflights.Clear();
    }

    /// <summary>An append with entries up to <paramref name="last"/> has been sent.</summary>
    public void Sent(LogIndex last, long bytes)
    {
        if (State == PeerState.Replicate)
        {
            Next = last.Next;
            Inflights.Add(last, bytes);
        }
        else
        {
            IsProbePaused = true;
        }
    }

    /// <summary>The member has everything up to an index. True when that is news.</summary>
    public bool Acknowledge(LogIndex index)
    {
        IsProbePaused = false;
        if (Next <= index)
        {
            Next = index.Next;
        }

        LogIndex before = Match;
        if (index > _acknowledged)
        {
            _acknowledged = index;
        }

        return Match > before;
    }

    /// <summary>The member refused an append. False when the refusal is old: something later has answered that question already.</summary>
    public bool Refused(LogIndex rejected, LogIndex lastPossible)
    {
        if (!IsCertain && lastPossible < _acknowledged)
        {
            // It has not what was acknowledged: that was in an earlier life.
            _acknowledged = lastPossible;
        }

        if (State == PeerState.Replicate)
        {
            if (rejected <= _acknowledged)
            {
                return false;
            }

            BecomeProbe();
            return true;
        }

        // In Probe only one append is under way: the one right before Next.
        if (State != PeerState.Probe || rejected.Value != Next.Value - 1)
        {
            return false;
        }

        ulong next = Math.Min(rejected.Value, lastPossible.Value + 1);
        Next = new LogIndex(Math.Max(next, _acknowledged.Value + 1));
        IsProbePaused = false;
        return true;
    }
}
