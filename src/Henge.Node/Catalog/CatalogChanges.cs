using System.Buffers;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;

namespace Henge.Node.Catalog;

/// <summary>
/// Changes of the catalog that this node is asked for: each looks at what is applied here, writes what it wants on the condition that what
/// it saw still holds, and looks again, until it finds what it wanted, or that it cannot be had, or its time is over. A change whose writer
/// is lost is done as a whole or not at all, so that anybody may ask for it again. Thread-safe, but for <see cref="Run"/>.
/// </summary>
internal sealed class CatalogChanges(NodeContext node, ICatalogShard catalog)
{
    private const int MostChanges = 256;

    /// <summary>
    /// How long after a write the next one of the same change follows: doubled each time up to the longest, so that changes that are in
    /// each other's way, or whose conditions never hold, do not fill the catalog's log.
    /// </summary>
    private const int FirstPauseMs = 10, LongestPauseMs = 640;
    private readonly Lock _gate = new();
    private readonly List<Change> _changes = [];

    /// <summary>True when some are under way.</summary>
    public bool Any
    {
        get
        {
            lock (_gate)
            {
                return _changes.Count > 0;
            }
        }
    }

    /// <summary>Takes a change in.</summary>
    /// <param name="next">Its next step; called on the thread that ticks.</param>
    /// <param name="deadlineMs">When to give up, on the node's monotonic clock.</param>
    /// <param name="ended">Called once, on any thread, with what went wrong; null when nothing did.</param>
    public void Add(Func<CatalogView, CatalogStep> next, long deadlineMs, Action<HengeException?> ended)
    {
        lock (_gate)
        {
            if (_changes.Count < MostChanges)
            {
                _changes.Add(new Change(this, next, deadlineMs, ended));
                return;
            }
        }

        ended(new HengeException(ErrorCode.ResourceExhausted, "Too many changes of the cluster are under way on this node. Try again later."));
    }

    /// <summary>Goes on with all of them. Called by the thread that ticks.</summary>
    /// <param name="view">What is applied; null when nothing is known.</param>
    public void Run(CatalogView? view)
    {
        Change[] changes;
        lock (_gate)
        {
            changes = [.. _changes];
        }

        foreach (Change change in changes)
        {
            change.Run(view);
        }
    }

    /// <summary>Ends all that are under way: the node stops.</summary>
    public void Stop()
    {
        Change[] changes;
        lock (_gate)
        {
            changes = [.. _changes];
        }

        foreach (Change change in changes)
        {
            change.End(new HengeException(ErrorCode.Stopping, "The node is stopping. Ask another one."));
        }
    }

    private sealed class Change(
        CatalogChanges owner,
        Func<CatalogView, CatalogStep> next,
        long deadlineMs,
        Action<HengeException?> ended)
    {
        // The version that must be applied here before there is anything new to see.
        private ulong _notBefore;
        private long _pauseMs;
        private long _nextWriteMs;
        private string? _problem;
        private int _writing;

        public void Run(CatalogView? view)
        {
            if (Volatile.Read(ref _writing) != 0)
            {
                return;
            }

            CatalogStep? step = view is not null && view.AsOf.Value >= Volatile.Read(ref _notBefore) ? next(view) : null;
            if (step is { Refusal: { } refusal })
            {
                End(refusal);
            }
            else if (step is { Transaction: null })
            {
                End(null);
            }
            else if (owner.Node.MonotonicMs >= deadlineMs)
            {
                End(new HengeException(
                    ErrorCode.Unavailable,
                    "The cluster's catalog could not be changed in time; it may or may not have been. "
                        + (_problem ?? "This node does not follow its leader yet.") + " Try again."));
            }
            else if (step is { Transaction: { } transaction } && owner.Node.MonotonicMs >= _nextWriteMs)
            {
                _pauseMs = Math.Clamp(2 * _pauseMs, FirstPauseMs, LongestPauseMs);
                _nextWriteMs = owner.Node.MonotonicMs + _pauseMs;
                Write(transaction);
            }
        }

        public void End(HengeException? problem)
        {
            lock (owner._gate)
            {
                if (!owner._changes.Remove(this))
                {
                    return;
                }
            }

            ended(problem);
        }

        private void Write(StateMachine.TxnBuilder transaction)
        {
            Volatile.Write(ref _writing, 1);
            var writer = new ArrayBufferWriter<byte>();
            transaction.Encode(writer);
            NodeContext node = owner.Node;
            var write = new WriteOperation(this)
            {
                Kind = OperationKind.Write,
                Command = writer.WrittenMemory,
                Shard = ShardId.Catalog,
                DeadlineMs = Math.Min(deadlineMs, node.MonotonicMs + node.Options.DefaultDeadlineMs),
            };
            node.Admit(1);
            owner.Catalog.Submit(write);
        }

        private void OnWritten(Operation write)
        {
            _problem = write.Error == ErrorCode.None ? null : write.ErrorMessage;
            if (write.Error == ErrorCode.None)
            {
                Volatile.Write(ref _notBefore, write.Version.Value);
            }
            else
            {
                // There was no leader, for example: nothing is in the log, and as soon as there is one it is tried.
                (_pauseMs, _nextWriteMs) = (0, 0);
            }

            Volatile.Write(ref _writing, 0);
        }

        private sealed class WriteOperation(Change change) : Operation
        {
            protected override void OnCompleted() => change.OnWritten(this);
        }
    }

    private NodeContext Node => node;

    private ICatalogShard Catalog => catalog;
}
