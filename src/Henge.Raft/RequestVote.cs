using System.Text;
using Henge.Core;

namespace Henge.Raft;

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
