using Henge.Core;

namespace Henge.Raft;

/// <summary>What an entry of the log is for. The numbers are on the wire and on disk: never change one.</summary>
public enum EntryKind : byte
{
    /// <summary>The caller's own data, for its state machine.</summary>
    Normal = 0,

    /// <summary>
    /// Appended by a leader when it is elected, so that it has an entry of its own term to commit (Raft paper, section 8).
    /// </summary>
    Empty = 1,

    /// <summary>
    /// A <see cref="Raft.Membership"/>, in force on a node from the moment it stands in that node's log (Raft paper, section 6).
    /// </summary>
    Membership = 2,
}

/// <summary>One entry of a group's log. The data is not copied: its memory must not change while the group may still read it.</summary>
/// <param name="Index">Where it stands in the log; the first entry is at 1.</param>
/// <param name="Term">The term of the leader that made it.</param>
/// <param name="Kind">What it is for.</param>
/// <param name="Data">The payload; empty for <see cref="EntryKind.Empty"/>.</param>
public readonly record struct Entry(LogIndex Index, Term Term, EntryKind Kind, ReadOnlyMemory<byte> Data)
{
    /// <summary>What an entry costs beside its data, in every limit in bytes: index, term, kind, length.</summary>
    public const int OverheadBytes = 24;

    /// <summary>What this entry counts for in limits, in bytes.</summary>
    public long SizeBytes => OverheadBytes + (long)Data.Length;

    /// <inheritdoc/>
    public override string ToString() => Kind switch
    {
        EntryKind.Empty => $"{Term}/{Index} empty",
        EntryKind.Membership => $"{Term}/{Index} {(Membership.TryDecode(Data.Span, out Membership? m) ? m.ToString() : "membership?")}",
        _ => $"{Term}/{Index} {Data.Length}B",
    };
}

/// <summary>What a node must not forget (Raft paper, figure 2, "persistent state"), beside its log.</summary>
/// <param name="Term">The latest term that the node has seen.</param>
/// <param name="VotedFor">Whom it voted for in that term; <see cref="NodeId.None"/> for nobody.</param>
/// <param name="Commit">What was committed and durable when the record was made: a hint that saves time after a restart. It may be old;
/// never beyond the persisted log.</param>
public readonly record struct HardState(Term Term, NodeId VotedFor, LogIndex Commit)
{
    /// <inheritdoc/>
    public override string ToString() => $"term={Term} vote={VotedFor} commit={Commit}";
}
