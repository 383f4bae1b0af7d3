using System.Text;
using Henge.Core;

namespace Henge.Raft;

/// <summary>Says that the leader lives, and what is committed. Small: there is one for each group, node and interval.</summary>
public sealed class Heartbeat() : RaftMessage(RaftMessageKind.Heartbeat)
{
    /// <summary>min(match of the receiver, commit): never beyond what the receiver is known to share with the leader.</summary>
    public LogIndex Commit { get; init; }

    /// <summary>The number of the latest read that wants a proof of leadership; 0 for none.</summary>
    public ulong ReadSequence { get; init; }

    /// <summary>The leader's tick at sending, for its lease.</summary>
    public ulong SentTick { get; init; }

    /// <summary>False when it only carries news of a commit, and no answer is wanted.</summary>
    public bool WantsResponse { get; init; } = true;

    /// <inheritdoc/>
    protected override string Details =>
        WantsResponse
            ? ReadSequence > 0
                ? $"commit={Commit} read={ReadSequence}"
                : $"commit={Commit}"
            : $"commit={Commit} notice";
}
