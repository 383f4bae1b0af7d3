using System.Runtime.InteropServices;
using Henge.Node.Context;

namespace Henge.Server.Runtime;

/// <summary>
/// A thread of its own for each lane, pinned to a core when that is wanted (Linux; elsewhere the wish is ignored). An idle thread sleeps.
/// Thread-safe; schedules without allocating.
/// </summary>
public sealed partial class LaneScheduler : IWorkScheduler, IDisposable
{
    private readonly Lane[] _lanes;

    /// <summary>Starts the threads.</summary>
    public LaneScheduler(string name, int lanes, bool pinned)
    {
        _lanes = new Lane[lanes];
        for (int i = 0; i < lanes; i++)
        {
            _lanes[i] = new Lane($"{name}-{i}", pinned ? i % Environment.ProcessorCount : -1);
        }
    }

    /// <inheritdoc/>
    public void Schedule(int lane, IWorkItem item) => _lanes[lane].Schedule(item);

    /// <summary>Ends the threads once they have done what waits.</summary>
    public void Dispose()
    {
        foreach (Lane lane in _lanes)
        {
            lane.Dispose();
        }
    }

    private sealed partial class Lane : IDisposable
    {
        // Not a SemaphoreSlim: it spins before it waits, and where nodes share cores the spinning is taken from those who have work
        // (docs/performance.md).
        private readonly object _gate = new();
        private readonly Thread _thread;
        private readonly int _core;
        private IWorkItem? _item;
        private bool _stopping;

        public Lane(string name, int core)
        {
            _core = core;
            _thread = new Thread(Loop) { Name = name, IsBackground = true };
            _thread.Start();
        }

        public void Schedule(IWorkItem item)
        {
            // One item a lane, scheduled once at a time: so one place is enough.
            lock (_gate)
            {
                _item = item;
                Monitor.Pulse(_gate);
            }
        }

        public void Dispose()
        {
            lock (_gate)
            {
                _stopping = true;
                Monitor.Pulse(_gate);
            }

            if (Thread.CurrentThread != _thread)
            {
                _thread.Join();
            }
        }

        private void Loop()
        {
            if (_core >= 0 && OperatingSystem.IsLinux())
            {
                Span<ulong> mask = stackalloc ulong[16];
                mask.Clear();
                mask[_core / 64] = 1UL << (_core % 64);
                _ = SetAffinity(0, (nuint)(mask.Length * sizeof(ulong)), ref mask[0]);
            }

            while (true)
            {
                IWorkItem? item;
                lock (_gate)
                {
                    while (_item is null && !_stopping)
                    {
                        Monitor.Wait(_gate);
                    }

                    item = _item;
                    _item = null;
                }

                if (item is null)
                {
                    return;
                }

                item.Run();
            }
        }

        [LibraryImport("libc", EntryPoint = "sched_setaffinity")]
        private static partial int SetAffinity(int thread, nuint bytes, ref ulong mask);
    }
}
