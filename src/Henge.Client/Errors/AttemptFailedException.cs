using Henge.Client.Settings;
using Henge.Core;

namespace Henge.Client.Errors;

/// <summary>What a failed attempt may have left behind.</summary>
internal enum AttemptOutcome
{
    /// <summary>Nothing: it never reached a node, or the node said that nothing was done.</summary>
    NothingDone,

    /// <summary>It may have taken effect, or may still.</summary>
    Unknown,
}

/// <summary>One attempt failed; the retry policy decides what the caller sees of it.</summary>
internal sealed class AttemptFailedException(
    ErrorCode code,
    string message,
    AttemptOutcome outcome,
    string? leaderHint = null,
    bool connectionFailed = false,
    Exception? inner = null,
    ulong leaderTerm = 0) : Exception(message, inner)
{
    /// <summary>What kind of error it is.</summary>
    public ErrorCode Code { get; } = code;

    /// <summary>What it may have left behind.</summary>
    public AttemptOutcome Outcome { get; } = outcome;

    /// <summary>The leader's address, where the node knew it and it is one; else null.</summary>
    public string? LeaderHint { get; } = PeerAddress.TryParse(leaderHint, out string address) ? address : null;

    /// <summary>The term in which that node leads; 0 when the node that was asked did not say.</summary>
    public ulong LeaderTerm { get; } = leaderTerm;

    /// <summary>True when the node could not be reached, or the connection to it broke: others should be asked for a while.</summary>
    public bool ConnectionFailed { get; } = connectionFailed;
}
