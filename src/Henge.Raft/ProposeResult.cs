using Henge.Core;

namespace Henge.Raft;

/// <summary>What became of a proposal, and where it stands.</summary>
/// <param name="Status">Whether it was taken.</param>
/// <param name="Index">Of the (last) entry when accepted.</param>
/// <param name="Term">The term that it was accepted in.</param>
/// <param name="LeaderHint">Who leads, as far as this node knows, when it was not accepted.</param>
public readonly record struct ProposeResult(ProposeStatus Status, LogIndex Index, Term Term, NodeId LeaderHint)
{
    /// <summary>True for <see cref="ProposeStatus.Accepted"/>.</summary>
    public bool IsAccepted => Status == ProposeStatus.Accepted;
}
