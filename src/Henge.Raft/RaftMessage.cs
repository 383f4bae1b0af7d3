using System.Text;
using Henge.Core;

namespace Henge.Raft;

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
