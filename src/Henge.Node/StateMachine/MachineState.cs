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

/// <summary>What a snapshot is of.</summary>
/// <param name="Index">The last entry in it.</param>
/// <param name="Term">That entry's term.</param>
/// <param name="Extra">The replica's own bytes (the group's configuration), not looked at here; at most 64 KiB.</param>
internal readonly record struct SnapshotMeta(LogIndex Index, Term Term, ReadOnlyMemory<byte> Extra)
{
    /// <summary>Most bytes of <see cref="Extra"/>.</summary>
    public const int MaxExtraBytes = 64 * 1024;

    /// <summary>True for the default: there is no snapshot.</summary>
    public bool IsNone => Index == LogIndex.Zero;
}

/// <summary>How a state machine works. The same on all replicas, except in tests.</summary>
internal sealed record StateMachineOptions
{
    public static StateMachineOptions Default { get; } = new();

    /// <summary>Bounds of the session table.</summary>
    public SessionLimits Sessions { get; init; } = SessionLimits.Default;

    /// <summary>Deliberate bugs, for the simulator only.</summary>
    public NodeBugs Bugs { get; init; }
}
