using System.Text;
using Henge.Core;

namespace Henge.Raft;

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
