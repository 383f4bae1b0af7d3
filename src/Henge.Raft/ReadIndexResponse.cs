using System.Text;
using Henge.Core;

namespace Henge.Raft;

/// <summary>The answer to <see cref="ReadIndexRequest"/>.</summary>
public sealed class ReadIndexResponse() : RaftMessage(RaftMessageKind.ReadIndexResponse)
{
    /// <summary>As in the request.</summary>
    public ulong Number { get; init; }

    /// <summary>The leader could not prove that it leads.</summary>
    public bool IsFailed { get; init; }

    /// <summary>What must be applied before the read.</summary>
    public LogIndex Index { get; init; }

    /// <inheritdoc/>
    protected override string Details => IsFailed ? "failed" : $"index={Index}";
}
