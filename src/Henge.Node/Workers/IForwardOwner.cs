using Henge.Core;
using Henge.Node.Api;

namespace Henge.Node.Workers;

/// <summary>
/// Whose writes were sent to leaders on other nodes: what becomes of each is told to it, also when the shard has another replica by then.
/// Only the shard's worker calls it.
/// </summary>
internal interface IForwardOwner
{
    /// <summary>Writes must wait: one that went out before them has come back.</summary>
    bool IsHeld { get; }

    /// <summary>A write that was sent to a leader comes back: certainly nothing of it was done.</summary>
    void OnHandedBack(Operation write, ulong sending);

    /// <summary>A write that was sent to a leader ends in another way; its caller is told after this.</summary>
    void OnForwardEnded(Operation write, ulong sending);

    /// <summary>A write is not to be sent: it wanted this node to lead.</summary>
    void Refuse(Operation write);

    /// <summary>A write cannot be sent.</summary>
    void Fail(Operation write, ErrorCode error, string message);
}
