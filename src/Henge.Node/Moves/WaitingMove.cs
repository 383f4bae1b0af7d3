using Henge.Core;

namespace Henge.Node.Moves;

/// <summary>A shard that is to go elsewhere, and has not begun to.</summary>
/// <param name="Shard">Which shard.</param>
/// <param name="Wait">What it waits for.</param>
/// <param name="WaitsFor">Which members it waits for, if it does.</param>
internal sealed record WaitingMove(ShardId Shard, MoveWait Wait, IReadOnlyList<NodeId> WaitsFor);

/// <summary>What a move that has not begun waits for.</summary>
internal enum MoveWait : byte
{
    /// <summary>As many others are under way as may be.</summary>
    OtherMoves = 0,

    /// <summary>
    /// Members are down that are not given up yet: until they are back, or replaced, only what is urgent begins.
    /// </summary>
    MembersAreDown = 1,
}
