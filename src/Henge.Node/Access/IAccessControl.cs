using Henge.Core;

namespace Henge.Node.Access;

/// <summary>Who may do what in a cluster, as a node knows it, and the way to change that. Thread-safe.</summary>
public interface IAccessControl
{
    /// <summary>What the node has applied of it. Another object whenever it has changed.</summary>
    AccessView Access { get; }

    /// <summary>
    /// Called, on the node's own thread, when <see cref="Access"/> has become another one. Must be quick and must not throw.
    /// </summary>
    event Action? AccessChanged;

    /// <summary>Changes users, roles, or whether access is checked, whichever member is asked.</summary>
    /// <param name="change">What is wanted.</param>
    /// <param name="deadlineMs">When to give up, on the node's monotonic clock.</param>
    /// <param name="ended">
    /// Called once, on any thread, with what went wrong: InvalidArgument (the message says what), Unavailable (try again),
    /// ResourceExhausted; null when it is done, and in force on this node.
    /// </param>
    void ChangeAccess(AccessChange change, long deadlineMs, Action<HengeException?> ended);
}
