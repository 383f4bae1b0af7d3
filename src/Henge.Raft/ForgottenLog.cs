using Henge.Core;

namespace Henge.Raft;

/// <summary>
/// How far the log of a replica reached that has dropped all it had, because it was no member any more, or a bound above that. Whoever
/// comes back under the id answers for it: it helps no candidate that is behind this, and is none while it is behind it itself
/// (docs/decisions/0192-replicas-that-come-and-go.md).
/// </summary>
/// <param name="Index">The index of the membership that it left by.</param>
/// <param name="Term">The term of the leader that said so.</param>
public readonly record struct ForgottenLog(LogIndex Index, Term Term)
{
    /// <summary>True when nothing was dropped.</summary>
    public bool IsNone => Index == LogIndex.Zero && Term == Term.Zero;

    /// <summary>Whether a log that ends there is behind (Raft paper, section 5.4.1).</summary>
    public bool IsAheadOf(LogIndex lastIndex, Term lastTerm) => lastTerm < Term || (lastTerm == Term && lastIndex < Index);
}
