using Henge.Core;
using Henge.Node.StateMachine;

namespace Henge.Node.Watch;

/// <summary>Where a watch stands in one shard. Used by the watch's reader, but for <see cref="IsWaiting"/>, which the hub's lock guards.</summary>
internal sealed class ShardCursor(ShardStateMachine machine, Core.Version next, Action wake)
{
    public ShardStateMachine Machine { get; } = machine;

    public WatchHub Hub => Machine.Hub;

    /// <summary>Everything below this version was given.</summary>
    public Core.Version Next { get; set; } = next;

    /// <summary>Where to go on in the hub's ring.</summary>
    public long RingPosition { get; set; }

    /// <summary>What was published when the reader last found nothing more.</summary>
    public Core.Version SeenPublished { get; set; }

    /// <summary>A pass over history that is under way.</summary>
    public HistoryPass? Pass { get; set; }

    /// <summary>True while the hub has it among those to be woken.</summary>
    public bool IsWaiting { get; set; }

    /// <summary>Where among them; guarded like <see cref="IsWaiting"/>.</summary>
    public int WaitIndex { get; set; }

    public void Wake() => wake();
}
