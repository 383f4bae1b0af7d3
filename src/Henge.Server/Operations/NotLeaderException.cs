using Henge.Core;

namespace Henge.Server.Operations;

/// <summary>An error of a node that knows who could help.</summary>
internal sealed class NotLeaderException(ErrorCode code, string message, string? leaderHint) : HengeException(code, message)
{
    public string? LeaderHint { get; } = leaderHint;
}
