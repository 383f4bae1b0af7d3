using System.Text;
using Henge.Core;

namespace Henge.Raft;

/// <summary>The answer to <see cref="Heartbeat"/>.</summary>
public sealed class HeartbeatResponse() : RaftMessage(RaftMessageKind.HeartbeatResponse)
{
    /// <summary>As in the heartbeat.</summary>
    public ulong ReadSequence { get; init; }

    /// <summary>As in the heartbeat.</summary>
    public ulong SentTick { get; init; }

    /// <inheritdoc/>
    protected override string Details => ReadSequence > 0 ? $"read={ReadSequence}" : "";
}
