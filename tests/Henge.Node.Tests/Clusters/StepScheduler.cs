using Henge.Node.Workers;

namespace Henge.Node.Tests.Clusters;

/// <summary>Work that waits until the harness runs it, in an order drawn from the seed.</summary>
public sealed class StepScheduler(Random random) : IWorkScheduler
{
    private readonly List<IWorkItem> _waiting = [];

    public bool IsEmpty => _waiting.Count == 0;

    /// <summary>While true nothing runs: a disk that hangs, a process that is stopped.</summary>
    public bool IsPaused { get; set; }

    public void Schedule(int lane, IWorkItem item) => _waiting.Add(item);

    public bool RunOne()
    {
        if (_waiting.Count == 0 || IsPaused)
        {
            return false;
        }

        int i = random.Next(_waiting.Count);
        IWorkItem item = _waiting[i];
        _waiting.RemoveAt(i);
        item.Run();
        return true;
    }

    public void Clear() => _waiting.Clear();
}
