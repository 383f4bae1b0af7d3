using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Workers;

namespace Henge.Node.Replication;

/// <summary>One shard's part of a barrier over all shards.</summary>
internal sealed class ShardBarrier(BarrierCoordinator.Round round) : Operation
{
    /// <inheritdoc/>
    protected override void OnCompleted() => round.OnPart(this);
}

/// <summary>
/// Barriers over all shards: they give the version of one consistent cut. First every shard is read through its own barrier, which gives
/// the highest version that anything acknowledged can have; then history is closed at that version (or at now, if that is later) wherever
/// it is not closed yet, so that no later write can come to lie below the cut. Barriers that come while a round is under way share the next
/// one. Thread-safe.
/// </summary>
internal sealed class BarrierCoordinator(NodeContext node, Worker[] workers)
{
    private readonly Lock _gate = new();
    private OperationList _waiting;
    private bool _underWay;

    /// <summary>Takes a barrier in.</summary>
    public void Submit(Operation operation)
    {
        if (node.Options.Bugs.SkipsScanBarrier)
        {
            operation.Version = node.Clock.Now;
            node.OnCompleted(1, operation.Command.Length);
            operation.Complete();
            return;
        }

        Round round;
        lock (_gate)
        {
            _waiting.Add(operation);
            if (_underWay)
            {
                return;
            }

            _underWay = true;
            round = NextRound();
        }

        round.Begin();
    }

    private Round NextRound()
    {
        var round = new Round(this, node, workers, _waiting);
        _waiting = default;
        return round;
    }

    private void OnEnded()
    {
        Round? next = null;
        lock (_gate)
        {
            if (_waiting.IsEmpty)
            {
                _underWay = false;
            }
            else
            {
                next = NextRound();
            }
        }

        next?.Begin();
    }

    /// <summary>One barrier over all shards, for all operations that waited when it began.</summary>
    internal sealed class Round
    {
        private readonly BarrierCoordinator _coordinator;
        private readonly NodeContext _node;
        private readonly Worker[] _workers;
        private readonly ShardBarrier[] _parts;
        private OperationList _operations;
        private BarrierPhase _phase;
        private int _unfinishedParts;

        public Round(BarrierCoordinator coordinator, NodeContext node, Worker[] workers, OperationList operations)
        {
            _coordinator = coordinator;
            _node = node;
            _workers = workers;
            _operations = operations;
            _parts = new ShardBarrier[node.Shards.Count];
        }

        /// <summary>Asks every shard.</summary>
        public void Begin()
        {
            // The latest deadline counts, and the weakest wish never does: operations of a round are of one consistency, except stale ones,
            // which are content with more.
            long deadline = 0;
            bool wantsMore = false;
            ulong pipeline = 0;
            for (Operation? o = _operations.First; o is not null; o = o.Next)
            {
                deadline = Math.Max(deadline, o.DeadlineMs);
                wantsMore |= o.Consistency != ReadConsistency.Stale;
                pipeline = o.Pipeline == 0 ? pipeline : o.Pipeline;
            }

            _unfinishedParts = _parts.Length;
            for (uint s = 0; s < _parts.Length; s++)
            {
                _parts[s] = new ShardBarrier(this)
                {
                    Kind = OperationKind.Barrier,
                    Phase = BarrierPhase.Collect,
                    Shard = new ShardId(s),
                    DeadlineMs = deadline,
                    Pipeline = pipeline,
                    Consistency = wantsMore ? ReadConsistency.Linearizable : ReadConsistency.Stale,
                };
            }

            Submit();
        }

        /// <summary>One shard has answered.</summary>
        public void OnPart(ShardBarrier part)
        {
            if (Interlocked.Decrement(ref _unfinishedParts) > 0)
            {
                return;
            }

            ShardBarrier? failed = Array.Find(_parts, static p => p.Error != ErrorCode.None);
            if (failed is not null || _phase == BarrierPhase.Close || _parts[0].Consistency == ReadConsistency.Stale)
            {
                End(failed);
                return;
            }

            Close();
        }

        private void Close()
        {
            Core.Version cut = _node.Clock.Now;
            foreach (ShardBarrier part in _parts)
            {
                cut = part.Version > cut ? part.Version : cut;
            }

            // The versions of some shard may be far ahead, from a time when a clock was. The others are not taken along, or their keys
            // would expire early.
            foreach (ShardBarrier part in _parts)
            {
                if (part.Version < cut && cut > _node.Clock.LimitFor(part.Version))
                {
                    ShardBarrier ahead = _parts.First(p => p.Version == cut);
                    ahead.Error = ErrorCode.Unavailable;
                    ahead.ErrorMessage =
                        $"The versions of shard {ahead.Shard} ({cut.ToTime():O}) are "
                            + $"{Clocks.ClockText.Of(cut.ToTime() - _node.Clock.Now.ToTime())} ahead of the cluster's clocks, so that "
                            + $"there is no version "
                        + "at which all shards can be read without taking the others along. Read stale, or shard by shard; or see "
                        + "\"Clocks\" in docs/operations.md.";
                    End(ahead);
                    return;
                }
            }

            _phase = BarrierPhase.Close;
            _unfinishedParts = _parts.Length;
            foreach (ShardBarrier part in _parts)
            {
                part.Phase = BarrierPhase.Close;
                part.ReadVersion = cut;
            }

            Submit();
        }

        private void Submit()
        {
            foreach (ShardBarrier part in _parts)
            {
                _node.Admit(1);
                _workers[part.Shard.Value % (uint)_workers.Length].Submit(part);
            }
        }

        private void End(ShardBarrier? failed)
        {
            Core.Version cut = default;
            foreach (ShardBarrier part in _parts)
            {
                cut = part.Version > cut ? part.Version : cut;
            }

            int count = 0;
            while (_operations.TakeFirst() is { } operation)
            {
                count++;
                if (failed is not null)
                {
                    operation.Fail(failed.Error, failed.ErrorMessage!, failed.LeaderHint);
                }
                else if (operation.ReadVersion.IsZero)
                {
                    operation.Version = cut;
                    operation.Complete();
                }
                else if (operation.ReadVersion > cut)
                {
                    operation.Fail(
                        ErrorCode.InvalidArgument,
                        $"Version {operation.ReadVersion} ({operation.ReadVersion.ToTime():O}) lies in the future. Read at a version that "
                            + $"has been.");
                }
                else if (operation.ReadVersion < _node.History.Floor)
                {
                    operation.Fail(
                        ErrorCode.HistoryGone,
                        $"Version {operation.ReadVersion} is below the history that is kept, which begins at {_node.History.Floor}. Read "
                            + $"at that version or a later one.");
                }
                else
                {
                    operation.Version = operation.ReadVersion;
                    operation.Complete();
                }
            }

            _node.OnCompleted(count, 0);
            _coordinator.OnEnded();
        }
    }
}
