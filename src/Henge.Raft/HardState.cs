using Henge.Core;

namespace Henge.Raft;

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
