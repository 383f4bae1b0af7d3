using System.Text;
using Henge.Core;

namespace Henge.Raft;

/// <summary>The answer to <see cref="RequestVote"/>.</summary>
public sealed class RequestVoteResponse() : RaftMessage(RaftMessageKind.RequestVoteResponse)
{
    /// <summary>Answers a PreVote.</summary>
    public bool IsPreVote { get; init; }

    /// <summary>The vote is, or would be, given.</summary>
    public bool IsGranted { get; init; }

    /// <inheritdoc/>
    protected override string Details => IsGranted ? "granted" : "refused";

    private protected override string Name => IsPreVote ? "PreVoteResponse" : "RequestVoteResponse";
}
