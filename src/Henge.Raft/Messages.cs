using System.Text;
using Henge.Core;

namespace Henge.Raft;

/// <summary>Kinds of message. The numbers are on the wire: never change one.</summary>
public enum RaftMessageKind : byte
{
    /// <summary><see cref="Raft.RequestVote"/>.</summary>
    RequestVote = 1,
    /// <summary><see cref="Raft.RequestVoteResponse"/>.</summary>
    RequestVoteResponse = 2,
    /// <summary><see cref="Raft.AppendEntries"/>.</summary>
    AppendEntries = 3,
    /// <summary><see cref="Raft.AppendEntriesResponse"/>.</summary>
    AppendEntriesResponse = 4,
    /// <summary><see cref="Raft.Heartbeat"/>.</summary>
    Heartbeat = 5,
    /// <summary><see cref="Raft.HeartbeatResponse"/>.</summary>
    HeartbeatResponse = 6,
    /// <summary><see cref="Raft.InstallSnapshot"/>.</summary>
    InstallSnapshot = 7,
    /// <summary><see cref="Raft.ReadIndexRequest"/>.</summary>
    ReadIndexRequest = 8,
    /// <summary><see cref="Raft.ReadIndexResponse"/>.</summary>
    ReadIndexResponse = 9,
    /// <summary><see cref="Raft.TimeoutNow"/>.</summary>
    TimeoutNow = 10,
}

/// <summary>
/// A message between two members of one group. Immutable. Which group it belongs to is the caller's to say, in the frame around it.
/// </summary>
public abstract class RaftMessage
{
    private protected RaftMessage(RaftMessageKind kind) => Kind = kind;

    /// <summary>What it is.</summary>
    public RaftMessageKind Kind { get; }

    /// <summary>Who sent it.</summary>
    public required NodeId From { get; init; }

    /// <summary>Who is to get it.</summary>
    public required NodeId To { get; init; }

    /// <summary>The sender's term; for a PreVote, and a granted answer to one, the term that would be.</summary>
    public required Term Term { get; init; }

    /// <summary>What is special about this kind, for people.</summary>
    protected abstract string Details { get; }

    /// <inheritdoc/>
    public override string ToString() =>
        Details.Length == 0 ? $"{From}->{To} {Name} term={Term}" : $"{From}->{To} {Name} term={Term} {Details}";

    private protected virtual string Name => Kind.ToString();
}

/// <summary>Asks for a vote (Raft paper, section 5.2), or whether one would be given (thesis, section 9.6).</summary>
public sealed class RequestVote() : RaftMessage(RaftMessageKind.RequestVote)
{
    /// <summary>Only a question: changes nothing at the receiver.</summary>
    public bool IsPreVote { get; init; }

    /// <summary>The leader itself asked the sender to take over, so that there is no leader to protect (thesis, section 3.10).</summary>
    public bool IsTransfer { get; init; }

    /// <summary>The last index of the candidate's log.</summary>
    public LogIndex LastIndex { get; init; }

    /// <summary>The term of the entry there.</summary>
    public Term LastTerm { get; init; }

    /// <inheritdoc/>
    protected override string Details => $"last={LastTerm}/{LastIndex}{(IsTransfer ? " transfer" : "")}";

    private protected override string Name => IsPreVote ? "PreVote" : "RequestVote";
}

/// <summary>The answer to <see cref="RequestVote"/>.</summary>
public sealed class RequestVoteResponse() : RaftMessage(RaftMessageKind.RequestVoteResponse)
{
    /// <summary>Answers a PreVote.</summary>
    public bool IsPreVote { get; init; }

    /// <summary>The vote is, or would be, given.</summary>
    public bool IsGranted { get; init; }

    /// <inheritdoc/>
    protected override string Details => IsGranted ? "granted" : "refused";

    private protected override string Name => IsPreVote ? "PreVoteResponse" : "RequestVoteResponse";
}

/// <summary>Carries entries, or, without any, looks for the point where two logs agree (Raft paper, section 5.3).</summary>
public sealed class AppendEntries() : RaftMessage(RaftMessageKind.AppendEntries)
{
    /// <summary>The index right before <see cref="Entries"/>.</summary>
    public LogIndex PrevIndex { get; init; }

    /// <summary>The term of the entry there.</summary>
    public Term PrevTerm { get; init; }

    /// <summary>The leader's commit index; it may lie beyond what the message carries.</summary>
    public LogIndex Commit { get; init; }

    /// <summary>Entries right after <see cref="PrevIndex"/>, without a gap.</summary>
    public ReadOnlyMemory<Entry> Entries { get; init; }

    /// <inheritdoc/>
    protected override string Details
    {
        get
        {
            StringBuilder text = new();
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $"prev={PrevTerm}/{PrevIndex} commit={Commit}");
            if (!Entries.IsEmpty)
            {
                text.Append(" [");
                for (int i = 0; i < Entries.Length; i++)
                {
                    text.Append(i == 0 ? "" : ", ").Append(Entries.Span[i].ToString());
                }

                text.Append(']');
            }

            return text.ToString();
        }
    }
}

/// <summary>
/// The answer to <see cref="AppendEntries"/> and to <see cref="InstallSnapshot"/>. The term in it is that of the leader it is meant for: an
/// old one is worth nothing.
/// </summary>
public sealed class AppendEntriesResponse() : RaftMessage(RaftMessageKind.AppendEntriesResponse)
{
    /// <summary>The logs do not agree at <see cref="Index"/>, or the leader's term is over.</summary>
    public bool IsRejected { get; init; }

    /// <summary>
    /// Accepted: everything up to here is durable and equal to the leader's log. Rejected: the <see cref="AppendEntries.PrevIndex"/> that
    /// did not fit.
    /// </summary>
    public LogIndex Index { get; init; }

    /// <summary>Rejected: the last index that can possibly agree.</summary>
    public LogIndex HintIndex { get; init; }

    /// <summary>Rejected: the term of the follower's entry at <see cref="HintIndex"/>; 0 when unknown.</summary>
    public Term HintTerm { get; init; }

    /// <inheritdoc/>
    protected override string Details => IsRejected ? $"rejected={Index} hint={HintTerm}/{HintIndex}" : $"match={Index}";
}

/// <summary>Says that the leader lives, and what is committed. Small: there is one for each group, node and interval.</summary>
public sealed class Heartbeat() : RaftMessage(RaftMessageKind.Heartbeat)
{
    /// <summary>min(match of the receiver, commit): never beyond what the receiver is known to share with the leader.</summary>
    public LogIndex Commit { get; init; }

    /// <summary>The number of the latest read that wants a proof of leadership; 0 for none.</summary>
    public ulong ReadSequence { get; init; }

    /// <summary>The leader's tick at sending, for its lease.</summary>
    public ulong SentTick { get; init; }

    /// <summary>False when it only carries news of a commit, and no answer is wanted.</summary>
    public bool WantsResponse { get; init; } = true;

    /// <inheritdoc/>
    protected override string Details =>
        WantsResponse
            ? ReadSequence > 0
                ? $"commit={Commit} read={ReadSequence}"
                : $"commit={Commit}"
            : $"commit={Commit} notice";
}

/// <summary>The answer to <see cref="Heartbeat"/>.</summary>
public sealed class HeartbeatResponse() : RaftMessage(RaftMessageKind.HeartbeatResponse)
{
    /// <summary>As in the heartbeat.</summary>
    public ulong ReadSequence { get; init; }

    /// <summary>As in the heartbeat.</summary>
    public ulong SentTick { get; init; }

    /// <inheritdoc/>
    protected override string Details => ReadSequence > 0 ? $"read={ReadSequence}" : "";
}

/// <summary>
/// What a snapshot is of (Raft paper, section 7). The caller sends it along with the snapshot's data, in chunks of its own, and hands it to
/// the receiving group only when all of the data has arrived and been checked.
/// </summary>
public sealed class InstallSnapshot() : RaftMessage(RaftMessageKind.InstallSnapshot)
{
    /// <summary>The last index that the snapshot covers.</summary>
    public LogIndex Index { get; init; }

    /// <summary>The term of the entry there.</summary>
    public Term IndexTerm { get; init; }

    /// <summary>The membership as of that index.</summary>
    public required Membership Membership { get; init; }

    /// <inheritdoc/>
    protected override string Details => $"at={IndexTerm}/{Index} {Membership}";
}

/// <summary>A follower asks the leader up to which index it must have applied to serve a read.</summary>
public sealed class ReadIndexRequest() : RaftMessage(RaftMessageKind.ReadIndexRequest)
{
    /// <summary>The follower's number for it, never used before.</summary>
    public ulong Number { get; init; }

    /// <inheritdoc/>
    protected override string Details => "";
}

/// <summary>The answer to <see cref="ReadIndexRequest"/>.</summary>
public sealed class ReadIndexResponse() : RaftMessage(RaftMessageKind.ReadIndexResponse)
{
    /// <summary>As in the request.</summary>
    public ulong Number { get; init; }

    /// <summary>The leader could not prove that it leads.</summary>
    public bool IsFailed { get; init; }

    /// <summary>What must be applied before the read.</summary>
    public LogIndex Index { get; init; }

    /// <inheritdoc/>
    protected override string Details => IsFailed ? "failed" : $"index={Index}";
}

/// <summary>The leader asks the receiver to start an election at once and take over (Raft thesis, section 3.10).</summary>
public sealed class TimeoutNow() : RaftMessage(RaftMessageKind.TimeoutNow)
{
    /// <inheritdoc/>
    protected override string Details => "";
}
