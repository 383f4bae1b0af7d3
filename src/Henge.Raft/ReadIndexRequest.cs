using System.Text;
using Henge.Core;

namespace Henge.Raft;

/// <summary>A follower asks the leader up to which index it must have applied to serve a read.</summary>
public sealed class ReadIndexRequest() : RaftMessage(RaftMessageKind.ReadIndexRequest)
{
    /// <summary>The follower's number for it, never used before.</summary>
    public ulong Number { get; init; }

    /// <inheritdoc/>
    protected override string Details => "";
}
