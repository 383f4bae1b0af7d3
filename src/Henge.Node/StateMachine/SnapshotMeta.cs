using Henge.Core;
using Henge.Node.Context;

namespace Henge.Node.StateMachine;

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
