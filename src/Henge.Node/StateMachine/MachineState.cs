using Henge.Core;
using Henge.Node.Context;

namespace Henge.Node.StateMachine;

/// <summary>Whether a state machine can serve.</summary>
internal enum MachineState : byte
{
    /// <summary>It can.</summary>
    Ready,
    /// <summary>A snapshot is being installed.</summary>
    Installing,
    /// <summary>
    /// Installing a snapshot was interrupted: the replica has nothing that it may serve or apply to until another one is installed.
    /// </summary>
    NeedsSnapshot,
    /// <summary>
    /// The shard's own records are damaged on the disk: nothing of it is served or applied until a snapshot is installed. Which entry it
    /// was at is known all the same.
    /// </summary>
    Unreadable,
}
