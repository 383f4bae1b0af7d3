using Henge.Cluster.Steps;
using Henge.Core;

namespace Henge.Node.Moves;

/// <summary>
/// Brings a shard that this node leads to where the catalog has it, one step at a time. It keeps nothing that another leader needs. Belongs
/// to the shard's worker, except <see cref="Move"/>.
/// </summary>
internal sealed class ShardMover(IMovableShard shard)
{
    /// <summary>Between two looks, in milliseconds.</summary>
    public const long IntervalMs = 100;

    /// <summary>After this without progress a move counts as stuck.</summary>
    public const long StuckMs = 30_000;

    // A transfer that was begun is given so long before the next.
    private const long TransferMs = 1_000;
    private long _nextMs = long.MinValue;
    private long _progressMs;
    private (ShardStepKind Kind, StepWait Wait, ulong EntriesLeft, long BytesLeft, long BytesSent) _progress;
    private ((LogIndex, Term) Standing, IReadOnlyList<NodeId> Target)? _arrived;
    private ShardMove? _move;

    /// <summary>How it gets on; null when it is where it shall be, or is led elsewhere. Thread-safe.</summary>
    public ShardMove? Move => Volatile.Read(ref _move);

    /// <summary>Takes the next step if there is one. Called at each tick.</summary>
    /// <param name="nowMs">By the monotonic clock.</param>
    /// <param name="target">Who shall carry the shard, the one that shall lead first: the same list as long as it is the same.</param>
    public void Tick(long nowMs, IReadOnlyList<NodeId> target)
    {
        if (nowMs < _nextMs)
        {
            return;
        }

        _nextMs = nowMs + IntervalMs;
        (LogIndex, Term) standing = shard.Standing;
        if (_arrived is { } arrived && arrived.Standing == standing && ReferenceEquals(arrived.Target, target))
        {
            // A shard at rest costs no more than this.
            return;
        }

        _arrived = null;
        if (shard.Look() is not { } seen)
        {
            Volatile.Write(ref _move, null);
            _progress = default;
            return;
        }

        ShardStep step = ShardStep.Next(seen, target);
        switch (step.Kind)
        {
            case ShardStepKind.AddLearners or ShardStepKind.RemoveLearners or ShardStepKind.ChangeVoters:
                shard.TryChange(step.Voters, step.Learners);
                break;
            case ShardStepKind.TransferLeader when !target.Contains(seen.Leader):
                // Who stays and should not lead hands over when all is well, a shard at a time (LeaderUpkeep).
                shard.TryTransfer(step.To);
                _nextMs = nowMs + TransferMs;
                break;
        }

        bool moves = !seen.Voters.ToHashSet().SetEquals(target) || seen.Learners.Count > 0 || !seen.IsSettled;
        Volatile.Write(ref _move, moves ? Describe(nowMs, step) : null);
        if (!moves)
        {
            _arrived = (standing, target);
        }
    }

    /// <summary>Another node leads the shard, or nobody does: what this one last told of a move is not so any more.</summary>
    public void OnLedElsewhere()
    {
        if (_move is not null)
        {
            Volatile.Write(ref _move, null);
            _progress = default;
        }

        _arrived = null;
    }

    private ShardMove Describe(long nowMs, ShardStep step)
    {
        var progress = (step.Kind, step.Wait, step.EntriesLeft, step.BytesLeft, step.BytesSent);

        // Another step, or fewer bytes or entries left. New writes make it more entries, which is no step back.
        if ((step.Kind, step.Wait) != (_progress.Kind, _progress.Wait)
            || step.EntriesLeft < _progress.EntriesLeft
            || step.BytesLeft < _progress.BytesLeft
            || step.BytesSent > _progress.BytesSent)
        {
            _progressMs = nowMs;
        }

        _progress = progress;
        return new ShardMove
        {
            Shard = shard.Shard,
            Step = step.Kind,
            Wait = step.Wait,
            WaitsFor = step.WaitsFor,
            EntriesLeft = step.EntriesLeft,
            BytesLeft = step.BytesLeft,
            BytesSent = step.BytesSent,
            StalledForMs = nowMs - _progressMs,
        };
    }
}
