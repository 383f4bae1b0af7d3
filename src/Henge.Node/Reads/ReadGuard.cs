using Henge.Core;
using Henge.Node.StateMachine;

namespace Henge.Node.Reads;

/// <summary>
/// Makes sure that what a read found was whole: that the replica's state was not being replaced meanwhile, and that history reached back
/// far enough. Made before the read, checked after it (or after the iterator that pins what is read was made).
/// </summary>
internal readonly struct ReadGuard(ShardStateMachine machine)
{
    private readonly ShardStateMachine _machine = machine;
    private readonly int _epoch = machine.Epoch;

    /// <summary>Throws <see cref="HengeException"/>: Unavailable or HistoryGone.</summary>
    public void Check(Core.Version at)
    {
        if ((_epoch & 1) != 0 || _machine.Epoch != _epoch)
        {
            throw new HengeException(
                ErrorCode.Unavailable,
                $"Shard {_machine.Shard} is being rebuilt from a peer on this node. Try again, or ask another node.");
        }

        Core.Version floor = _machine.HistoryFloor;
        if (at < floor)
        {
            throw new HengeException(
                ErrorCode.HistoryGone,
                $"Version {at} is below the history that is kept: the oldest version is {floor} "
                    + $"({floor.ToTime():yyyy-MM-dd'T'HH:mm:ss.fff'Z'}).");
        }
    }
}
