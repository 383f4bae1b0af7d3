using Henge.Core;
using Henge.Node.StateMachine;

namespace Henge.Node.Watch;

/// <summary>
/// Where a watch stands in one shard. Its reader uses it; but while <see cref="IsWaiting"/>, which the hub's lock guards, it is the hub's.
/// </summary>
internal sealed class ShardCursor
{
    private readonly Action _wake;

    public ShardCursor(ShardStateMachine machine, Core.Version next, in KeyRange range, bool everyPublication, Action wake)
    {
        Machine = machine;
        Next = next;
        (WaitKind, WaitHash, WaitPrefixLength) = WaitIndex.Classify(range, everyPublication);
        _wake = wake;
    }

    public ShardStateMachine Machine { get; }

    public WatchHub Hub => (WatchHub)Machine.Feed;

    /// <summary>Everything below this version was given, or is not of the range.</summary>
    public Core.Version Next { get; set; }

    /// <summary>Where to go on in the hub's ring.</summary>
    public long RingPosition { get; set; }

    /// <summary>What was published when the reader last found nothing more.</summary>
    public Core.Version SeenPublished { get; set; }

    /// <summary>A pass over history that is under way.</summary>
    public HistoryPass? Pass { get; set; }

    /// <summary>True once its shard is taken from another node.</summary>
    public bool HasLeft { get; set; }

    /// <summary>True while the hub has it among those to be woken: nothing of its range was published since it began to wait.</summary>
    public bool IsWaiting { get; set; }

    /// <summary>How it is found.</summary>
    public WaitKind WaitKind { get; }

    /// <summary>Under which hash.</summary>
    public ulong WaitHash { get; }

    /// <summary>Length of the prefix.</summary>
    public int WaitPrefixLength { get; }

    /// <summary>Where the <see cref="WaitIndex"/> has it.</summary>
    public List<ShardCursor>? WaitList { get; set; }

    /// <summary>At which place of <see cref="WaitList"/>.</summary>
    public int WaitAt { get; set; }

    /// <summary>At which place of the hub's readers.</summary>
    public int ReaderAt { get; set; }

    public void Wake() => _wake();
}
