using Henge.Storage;

namespace Henge.Node.Context;

/// <summary>
/// How far back a node's history goes. One for each node; thread-safe.
/// </summary>
/// <remarks>
/// The caller of <see cref="Advance"/> keeps two rules: the floor is never above <c>now - history</c>, and stays
/// <see cref="AlwaysKeptMs"/> behind the last applied version of every shard on this node. The second keeps replicas equal: the engine
/// forgets what ended before the floor, and a replica that still has older commands to apply must see it as the others did.
/// </remarks>
internal sealed class HistoryWindow(IStorageEngine engine)
{
    /// <summary>
    /// What a shard has written in so many milliseconds before its last applied version is kept by every replica, however short history is:
    /// transactions ask for it (docs/decisions/0185). It decides what they come to, so it belongs to the format level.
    /// </summary>
    public const long AlwaysKeptMs = 10_000;

    private ulong _floor = engine.HistoryFloor.Value;

    /// <summary>Reads below this version are refused; at it they still work.</summary>
    public Core.Version Floor => new(Volatile.Read(ref _floor));

    /// <summary>Raises the floor; lower values are ignored. Readers see the new floor before the engine may act on it.</summary>
    public void Advance(Core.Version floor)
    {
        ulong seen = Volatile.Read(ref _floor);
        while (floor.Value > seen)
        {
            ulong there = Interlocked.CompareExchange(ref _floor, floor.Value, seen);
            if (there == seen)
            {
                engine.SetHistoryFloor(floor);
                return;
            }

            seen = there;
        }
    }
}
