using Henge.Core;

namespace Henge.Server.Operations;

/// <summary>An error of a node that knows who could help.</summary>
internal sealed class NotLeaderException(ErrorCode code, string message, string? leaderHint, Term leaderTerm)
    : HengeException(code, message)
{
    public string? LeaderHint { get; } = leaderHint;

    /// <summary>The term in which it leads; zero when that is not known.</summary>
    public Term LeaderTerm { get; } = leaderTerm;
}
