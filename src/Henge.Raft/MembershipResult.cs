using Henge.Core;

namespace Henge.Raft;

/// <summary>What became of a change of membership, and where it stands.</summary>
/// <param name="Status">Whether it was taken.</param>
/// <param name="Index">Of the entry, when accepted.</param>
/// <param name="Term">The term that it was accepted in.</param>
/// <param name="LeaderHint">Who leads, as far as this node knows.</param>
public readonly record struct MembershipResult(MembershipStatus Status, LogIndex Index, Term Term, NodeId LeaderHint)
{
    /// <summary>True for <see cref="MembershipStatus.Accepted"/>.</summary>
    public bool IsAccepted => Status == MembershipStatus.Accepted;
}
