using Henge.Core;

namespace Henge.Node.Api;

/// <summary>
/// A node's part in a recovery of its cluster after majorities are lost for ever (docs/decisions/0200-when-a-majority-is-lost.md). All of
/// it is answered without any majority. Thread-safe.
/// </summary>
public interface IClusterRecovery
{
    /// <summary>Says what the node has, as text for <see cref="Offer"/>.</summary>
    /// <param name="answered">Called once, on any thread; not when the node stops first.</param>
    void Report(Action<string> answered);

    /// <summary>
    /// The plan of what can be done. Throws <see cref="HengeException"/> (InvalidArgument) when a report makes no sense.
    /// </summary>
    /// <param name="reports">What all nodes say that are left.</param>
    /// <param name="startEmpty">Shards that begin without anything when nothing is left of them.</param>
    RecoveryOffer Offer(IReadOnlyCollection<string> reports, IReadOnlyCollection<int> startEmpty);

    /// <summary>
    /// A plan that a node has taken up before, so that it can be gone on with; null when none of them knows it. Throws
    /// <see cref="HengeException"/>: InvalidArgument when a report makes no sense, Unavailable when not all answer who have their part in
    /// it.
    /// </summary>
    RecoveryOffer? Resume(IReadOnlyCollection<string> reports, string planId);

    /// <summary>
    /// Has the catalog, once it goes on, say for ever that those who are lost have left. By any node that is left; said again, it does
    /// nothing more.
    /// </summary>
    void MarkLost(string plan, long deadlineMs, Action<HengeException?> answered);

    /// <summary>Does this node's part of a plan. Said again, it does nothing more.</summary>
    /// <param name="plan">The text of an offer.</param>
    /// <param name="phase">Which part.</param>
    /// <param name="deadlineMs">When to give up, on the node's monotonic clock.</param>
    /// <param name="answered">
    /// Called once, on any thread, when it is durable, or with why it is not: InvalidArgument (the plan is not for this node, or what it
    /// has is not what the plan says), Unavailable (say it again).
    /// </param>
    void Adopt(string plan, RecoveryPhase phase, long deadlineMs, Action<HengeException?> answered);
}
