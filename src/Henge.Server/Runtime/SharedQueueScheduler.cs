using System.Collections.Concurrent;
using Henge.Node.Context;

namespace Henge.Server.Runtime;

/// <summary>Fixed threads that take work from one queue. Thread-safe.</summary>
public sealed class SharedQueueScheduler : IWorkScheduler, IDisposable
{
    private readonly BlockingCollection<IWorkItem> _queue = [];
    private readonly Thread[] _threads;

    /// <summary>Starts the threads.</summary>
    public SharedQueueScheduler(string name, int threads)
    {
        _threads = new Thread[threads];
        for (int i = 0; i < threads; i++)
        {
            _threads[i] = new Thread(Loop) { Name = $"{name}-{i}", IsBackground = true };
            _threads[i].Start();
        }
    }

    /// <inheritdoc/>
    public void Schedule(int lane, IWorkItem item) => _queue.Add(item);

    /// <summary>Ends the threads once they have done what waits.</summary>
    public void Dispose()
    {
        _queue.CompleteAdding();
        foreach (Thread thread in _threads)
        {
            if (thread != Thread.CurrentThread)
            {
                thread.Join();
            }
        }

        _queue.Dispose();
    }

    private void Loop()
    {
        foreach (IWorkItem item in _queue.GetConsumingEnumerable())
        {
            item.Run();
        }
    }
}
