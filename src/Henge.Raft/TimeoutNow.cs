using System.Text;
using Henge.Core;

namespace Henge.Raft;

/// <summary>The leader asks the receiver to start an election at once and take over (Raft thesis, section 3.10).</summary>
public sealed class TimeoutNow() : RaftMessage(RaftMessageKind.TimeoutNow)
{
    /// <inheritdoc/>
    protected override string Details => "";
}
