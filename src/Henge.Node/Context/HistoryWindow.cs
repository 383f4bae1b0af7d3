using Henge.Storage;

namespace Henge.Node.Context;

/// <summary>
/// How far back a node's history goes. One for each node; thread-safe.
/// </summary>
/// <remarks>
/// The caller of <see cref="Advance"/> keeps two rules: the floor is never above <c>now - history</c>, and never above the last applied
/// version of any shard on this node. The second keeps replicas equal: the engine forgets what ended before the floor, and a replica that
/// still has older commands to apply must see it as the others did.
/// </remarks>
internal sealed class HistoryWindow(IStorageEngine engine)
{
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
