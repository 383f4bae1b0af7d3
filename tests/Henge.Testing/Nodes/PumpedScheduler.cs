using System.Collections.Concurrent;
using Henge.Node.Context;

namespace Henge.Testing.Nodes;

/// <summary>
/// Runs a node's work one piece after another: on the pool, or on the thread that asks for it between <see cref="RunHere"/> and its end.
/// </summary>
public sealed class PumpedScheduler : IWorkScheduler
{
    private readonly ConcurrentQueue<IWorkItem> _items = [];
    private readonly Lock _running = new();
    private int _here;

    /// <inheritdoc/>
    public void Schedule(int lane, IWorkItem item)
    {
        _items.Enqueue(item);
        if (Volatile.Read(ref _here) == 0)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static scheduler => scheduler.Pump(), this, preferLocal: false);
        }
    }

    /// <summary>Runs all that waits, on this thread. Work that asks for it from within leaves it to who pumps already.</summary>
    public void Pump()
    {
        if (_running.IsHeldByCurrentThread)
        {
            return;
        }

        while (!_items.IsEmpty)
        {
            lock (_running)
            {
                while (_items.TryDequeue(out IWorkItem? item))
                {
                    item.Run();
                }
            }
        }
    }

    /// <summary>Until it is disposed of, what is scheduled waits for this thread to pump.</summary>
    public Here RunHere()
    {
        Interlocked.Increment(ref _here);
        return new Here(this);
    }

    /// <summary>From <see cref="RunHere"/> on.</summary>
    public readonly struct Here(PumpedScheduler scheduler) : IDisposable
    {
        /// <inheritdoc/>
        public void Dispose()
        {
            Interlocked.Decrement(ref scheduler._here);

            // Others may have left something to this thread after it had pumped.
            if (!scheduler._items.IsEmpty)
            {
                ThreadPool.UnsafeQueueUserWorkItem(static s => s.Pump(), scheduler, preferLocal: false);
            }
        }
    }
}
