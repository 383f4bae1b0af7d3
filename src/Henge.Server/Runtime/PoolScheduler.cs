using Henge.Node.Context;

namespace Henge.Server.Runtime;

/// <summary>Runs work on .NET's work-stealing thread pool. Thread-safe; schedules without allocating.</summary>
public sealed class PoolScheduler : IWorkScheduler
{
    private readonly Lane?[] _lanes = new Lane?[256];

    /// <inheritdoc/>
    public void Schedule(int lane, IWorkItem item)
    {
        Lane? known = _lanes[lane & 255];
        if (known is null || !ReferenceEquals(known.Item, item))
        {
            _lanes[lane & 255] = known = new Lane(item);
        }

        ThreadPool.UnsafeQueueUserWorkItem(known, preferLocal: false);
    }

    private sealed class Lane(IWorkItem item) : IThreadPoolWorkItem
    {
        public IWorkItem Item { get; } = item;

        public void Execute() => Item.Run();
    }
}
