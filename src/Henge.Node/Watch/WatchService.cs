using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;

namespace Henge.Node.Watch;

/// <summary>Opens watches on a node, and bounds their number. Thread-safe.</summary>
/// <param name="shards">The cluster's shards.</param>
/// <param name="machineOf">The state machine of a shard on this node; null when the node does not carry it.</param>
/// <param name="limits">The node's limits.</param>
/// <param name="options">Bounds of watching.</param>
/// <param name="hasJoined">Whether the node is known to have been started with the settings that its cluster was made with.</param>
/// <param name="remotes">The way to the shards that the node does not carry; null: there is none.</param>
internal sealed class WatchService(
    ShardMap shards,
    Func<ShardId, ShardStateMachine?> machineOf,
    NodeLimits limits,
    WatchOptions options,
    Func<bool> hasJoined,
    IRemoteWatches? remotes = null)
{
    private readonly HistoryBudget _budget = new(options);
    private NodeWatchParts? _made;
    private int _count;
    private long _lost;

    /// <summary>How many read history just now.</summary>
    public int HistoryReaders => _budget.Active;

    /// <summary>How many watches are open.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>How often a watch found that it had fallen behind what history keeps.</summary>
    public long Lost => Interlocked.Read(ref _lost);

    private NodeWatchParts Parts => _made ??= new NodeWatchParts
    {
        Options = options,
        Budget = _budget,
        MachineOf = ReadyMachine,
        OnClosed = () => Interlocked.Decrement(ref _count),
        OnLost = () => Interlocked.Increment(ref _lost),
    };

    /// <summary>
    /// Opens a watch. Throws <see cref="HengeException"/>: ResourceExhausted over the node's limit, HistoryGone when its start is below
    /// history, InvalidArgument for a token or range that makes no sense, Unavailable when the node does not carry a shard that it needs,
    /// does not know yet that it is part of its cluster, or has not yet applied the first entry of a shard.
    /// </summary>
    public IWatch Open(WatchQuery query, Action onAvailable)
    {
        if (!query.Upper.IsEmpty && query.Lower.Span.SequenceCompareTo(query.Upper.Span) >= 0)
        {
            throw new HengeException(ErrorCode.InvalidArgument, "The watch's range is empty: its end must be above its start.");
        }

        RequireJoined();
        var local = new List<(ShardStateMachine Machine, Core.Version Next)>();
        var remote = new List<ShardPosition>();
        foreach (ShardPosition position in Locate(query))
        {
            if (LocalMachine(position, isNew: query.Resume.IsEmpty) is { } machine)
            {
                local.Add((machine, position.Next));
            }
            else
            {
                remote.Add(position);
            }
        }

        if (Interlocked.Increment(ref _count) > limits.Watches)
        {
            Interlocked.Decrement(ref _count);
            throw new HengeException(
                ErrorCode.ResourceExhausted,
                $"This node has {limits.Watches} watches open, which is its limit. Close some, or use another node.");
        }

        return new NodeWatch(query, Parts with { Remotes = remotes }, local, remote, onAvailable);
    }

    /// <summary>
    /// Opens a watch over some shards for another node. It is not counted, and never reads from other nodes itself. Throws
    /// <see cref="HengeException"/>: HistoryGone, or Unavailable when this node does not carry one of the shards, or cannot serve it.
    /// </summary>
    /// <param name="query">The keys, and what events carry.</param>
    /// <param name="positions">The shards, each with where the watch stands in it.</param>
    /// <param name="onAvailable">Called when there is something to read.</param>
    public NodeWatch OpenFor(WatchQuery query, IReadOnlyList<ShardPosition> positions, Action onAvailable)
    {
        RequireJoined();
        var local = new List<(ShardStateMachine Machine, Core.Version Next)>(positions.Count);
        foreach (ShardPosition position in positions)
        {
            ShardStateMachine machine = MachineOf(position.Shard);
            RequireVersion(machine);
            RequireHistory(machine, position.Next);
            local.Add((machine, position.Next));
        }

        return new NodeWatch(query, Parts with { OnClosed = static () => { }, OnLost = static () => { } }, local, [], onAvailable);
    }

    /// <summary>As if the node did not carry some of the shards: for tests and the simulator.</summary>
    internal WatchService Hiding(Predicate<ShardId> hidden) =>
        new(shards, shard => hidden(shard) ? null : machineOf(shard), limits, options, hasJoined, remotes);

    private void RequireJoined()
    {
        if (!hasJoined())
        {
            // Its number of shards may be wrong: it would refuse good tokens for good, and hand out tokens that the cluster cannot take
            // (decision 0156).
            throw new HengeException(
                ErrorCode.Unavailable,
                "This node does not know yet that it is part of its cluster, so it cannot say where a watch begins. Try again, or ask "
                    + "another node.");
        }
    }

    private IEnumerable<ShardPosition> Locate(WatchQuery query)
    {
        var range = KeyRange.Between(query.Lower, query.Upper);
        IEnumerable<ShardId> needed = range.IsOneKey
            ? [shards.ShardOf(query.Lower.Span)]
            : Enumerable.Range(0, shards.Count).Select(static s => new ShardId((uint)s));
        if (query.Resume.IsEmpty)
        {
            return needed.Select(s => new ShardPosition(s, query.Start));
        }

        Dictionary<ShardId, Core.Version> resume = ResumeToken
            .Decode(query.Resume.Span, shards.Count)
            .ToDictionary(static p => p.Shard, static p => p.Next);
        return needed.Select(s => new ShardPosition(
            s,
            resume.TryGetValue(s, out Core.Version next)
                ? next
                : throw new HengeException(
                    ErrorCode.InvalidArgument,
                    "The resume token is of a watch on other keys: it does not say where this one stood.")));
    }

    // Null: the events come from other nodes.
    private ShardStateMachine? LocalMachine(ShardPosition position, bool isNew)
    {
        bool hasSource = remotes?.HasSource(position.Shard) == true;
        if (hasSource && machineOf(position.Shard) is not { State: MachineState.Ready, IsWithheld: false })
        {
            return null;
        }

        ShardStateMachine machine = MachineOf(position.Shard);
        if (hasSource && machine.KeepsLess && IsGone(machine, position.Next))
        {
            return null;
        }

        // Before a shard's first version the only position in it would be the very first one, which counts as long gone as soon as the
        // first history is let go. A shard's first leader gives it a version at once.
        if (isNew)
        {
            RequireVersion(machine);
        }

        RequireHistory(machine, position.Next);
        return machine;
    }

    private static void RequireVersion(ShardStateMachine machine)
    {
        if (machine.LastVersion.IsZero)
        {
            throw new HengeException(
                ErrorCode.Unavailable,
                $"Shard {machine.Shard} has no version yet on this node, so a watch has no place in it to begin at. Try again, or ask "
                    + "another node.");
        }
    }

    private static void RequireHistory(ShardStateMachine machine, Core.Version next)
    {
        if (IsGone(machine, next))
        {
            throw HistoryPass.HistoryGone(next, machine.HistoryFloor);
        }
    }

    private static bool IsGone(ShardStateMachine machine, Core.Version next) =>
        !next.IsZero && next <= machine.HistoryFloor && next <= machine.LastVersion;

    private ShardStateMachine? ReadyMachine(ShardId shard) =>
        machineOf(shard) is { State: MachineState.Ready, IsWithheld: false, LastVersion.IsZero: false } machine ? machine : null;

    private ShardStateMachine MachineOf(ShardId shard)
    {
        ShardStateMachine machine =
            machineOf(shard)
            ?? throw new HengeException(
                ErrorCode.Unavailable,
                $"This node does not carry shard {shard}, which the watch needs. Ask another node.");
        return machine.State == MachineState.Ready && !machine.IsWithheld
            ? machine
            : throw new HengeException(
                ErrorCode.Unavailable,
                $"Shard {shard} is being rebuilt from a peer on this node. Try again, or ask another node.");
    }
}
