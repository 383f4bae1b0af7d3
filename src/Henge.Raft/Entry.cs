using Henge.Core;

namespace Henge.Raft;

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
