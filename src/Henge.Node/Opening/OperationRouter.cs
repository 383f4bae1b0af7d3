using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Replication;
using Henge.Node.StateMachine;
using Henge.Node.Workers;

namespace Henge.Node.Opening;

/// <summary>
/// Takes the operations of a node's doors in, within its bounds, and gives each to the worker of its shard, or to whoever does it for all
/// shards. Thread-safe.
/// </summary>
internal sealed class OperationRouter(NodeParts parts)
{
    private readonly NodeContext _context = parts.Context;
    private readonly BarrierCoordinator _barriers = new(parts.Context, parts.Workers);

    /// <summary>Takes one operation.</summary>
    public void Submit(Operation operation)
    {
        if (!Accept(operation, _context.MonotonicMs))
        {
            return;
        }

        if (!_context.TryAdmit(1, operation.Command.Length))
        {
            operation.Fail(
                ErrorCode.ResourceExhausted,
                "The node has too many operations under way. Try again later, with fewer at a time.");
            return;
        }

        Route(operation);
    }

    /// <summary>Takes operations that came together: each worker gets its own as one chain.</summary>
    public void Submit(ReadOnlySpan<Operation> operations)
    {
        if (operations.IsEmpty)
        {
            return;
        }

        if (operations.Length == 1)
        {
            Submit(operations[0]);
            return;
        }

        long bytes = 0;
        foreach (Operation operation in operations)
        {
            bytes += operation.Command.Length;
        }

        if (!_context.TryAdmit(operations.Length, bytes))
        {
            foreach (Operation operation in operations)
            {
                operation.Fail(
                    ErrorCode.ResourceExhausted,
                    "The node has too many operations under way. Try again later, with fewer at a time.");
            }

            return;
        }

        SubmitAdmitted(operations);
    }

    private bool Accept(Operation operation, long nowMs)
    {
        operation.Error = ErrorCode.None;
        operation.LeaseEndsAtTick = 0;
        operation.Remote = null;
        if (_context.IsStopping || _context.IsDead)
        {
            operation.Fail(ErrorCode.Stopping, "The node is stopping. Ask another one.");
            return false;
        }

        if (operation.DeadlineMs == 0)
        {
            operation.DeadlineMs = nowMs + _context.Options.DefaultDeadlineMs;
        }
        else if (operation.DeadlineMs <= nowMs)
        {
            operation.Fail(ErrorCode.DeadlineExceeded, "The deadline had passed before the operation came to the node. Nothing was done.");
            return false;
        }

        return operation.Kind != OperationKind.Write || IsOnOneShard(operation);
    }

    // A command of several keys is applied by one shard: a key of another one would be written where no reader looks for it. So no door is
    // trusted with this.
    private bool IsOnOneShard(Operation operation)
    {
        ReadOnlySpan<byte> command = operation.Command.Span;
        if (command.IsEmpty || (CommandKind)command[0] is not (CommandKind.Txn or CommandKind.MultiPut or CommandKind.MultiDelete))
        {
            return true;
        }

        try
        {
            if (CommandEncoder.ShardOf(command, _context.Shards) == _context.Shards.ShardOf(operation.Key.Span))
            {
                return true;
            }

            operation.Fail(ErrorCode.CrossShard, "The key that the transaction was sent under lies on another shard than its own keys.");
        }
        catch (HengeException e)
        {
            operation.Fail(e.Code, e.Message);
        }

        return false;
    }

    private void Route(Operation operation)
    {
        if (operation.AllShards)
        {
            _barriers.Submit(operation);
            return;
        }

        if (operation.Kind == OperationKind.Page)
        {
            parts.Pages.Submit(operation);
            return;
        }

        operation.Shard = _context.Shards.ShardOf(operation.Key.Span);
        parts.WorkerOf(operation.Shard).Submit(operation);
    }

    // One chain for each worker, newest first, as its queue wants it.
    private void SubmitAdmitted(ReadOnlySpan<Operation> operations)
    {
        Worker[] workers = parts.Workers;
        var newest = System.Buffers.ArrayPool<Operation?>.Shared.Rent(2 * workers.Length);
        Array.Clear(newest, 0, 2 * workers.Length);
        long now = _context.MonotonicMs;
        foreach (Operation operation in operations)
        {
            int length = operation.Command.Length;
            if (!Accept(operation, now))
            {
                _context.OnCompleted(1, length);
                continue;
            }

            if (operation.AllShards || operation.Kind == OperationKind.Page)
            {
                // Behind what came before it: it may have to see that.
                SubmitChains(workers, newest);
                Route(operation);
                continue;
            }

            operation.Shard = _context.Shards.ShardOf(operation.Key.Span);
            int worker = (int)(operation.Shard.Value % (uint)workers.Length);
            operation.Next = newest[worker];
            newest[worker] = operation;
            newest[workers.Length + worker] ??= operation;
        }

        SubmitChains(workers, newest);
        System.Buffers.ArrayPool<Operation?>.Shared.Return(newest, clearArray: true);
    }

    private static void SubmitChains(Worker[] workers, Operation?[] newest)
    {
        for (int i = 0; i < workers.Length; i++)
        {
            if (newest[i] is { } last)
            {
                workers[i].Submit(last, newest[workers.Length + i]!);
                (newest[i], newest[workers.Length + i]) = (null, null);
            }
        }
    }
}
