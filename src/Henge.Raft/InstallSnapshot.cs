using System.Text;
using Henge.Core;

namespace Henge.Raft;

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
