using Henge.Node.Context;
using Henge.Node.Workers;

namespace Henge.Node.Tests.Clusters;

/// <summary>Work that waits until the harness runs it, in an order drawn from the seed.</summary>
public sealed class StepScheduler(Random random) : IWorkScheduler
{
    private readonly List<(int Lane, IWorkItem Item)> _waiting = [];

    public bool IsEmpty => _waiting.Count == 0;

    /// <summary>While true nothing runs: a disk that hangs, a process that is stopped.</summary>
    public bool IsPaused { get; set; }

    /// <summary>Work of this lane waits: a worker that hangs. -1: none.</summary>
    public int BlockedLane { get; set; } = -1;

    public void Schedule(int lane, IWorkItem item) => _waiting.Add((lane, item));

    public bool RunOne()
    {
        if (_waiting.Count == 0 || IsPaused)
        {
            return false;
        }

        int i = random.Next(_waiting.Count);
        if (_waiting[i].Lane == BlockedLane)
        {
            i = _waiting.FindIndex(w => w.Lane != BlockedLane);
            if (i < 0)
            {
                return false;
            }
        }

        IWorkItem item = _waiting[i].Item;
        _waiting.RemoveAt(i);
        item.Run();
        return true;
    }

    public void Clear() => _waiting.Clear();
}
