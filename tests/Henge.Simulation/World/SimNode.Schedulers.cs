using Henge.Node.Context;
using Henge.Storage.Lsm.Background;

namespace Henge.Simulation.World;

/// <content>What stands in for its threads.</content>
internal sealed partial class SimNode
{
    /// <summary>Workers: each lane's work is a step soon after.</summary>
    private sealed class Scheduler(SimNode node, long delayNs) : IWorkScheduler
    {
        private readonly int _epoch = node.Epoch;

        public void Schedule(int lane, IWorkItem item)
        {
            if (_epoch == node.Epoch)
            {
                node.Plan(node._random.Between(0, delayNs), "work", () => node.RunWork(lane, item));
            }
        }
    }

    /// <summary>Reads for other nodes: some are found in memory, some wait for the disk.</summary>
    private sealed class ReadScheduler(SimNode node) : IWorkScheduler
    {
        private readonly int _epoch = node.Epoch;

        public void Schedule(int lane, IWorkItem item)
        {
            if (_epoch == node.Epoch)
            {
                node.Plan(node._random.Between(10_000, 2_000_000), "read for others", item.Run);
            }
        }
    }

    /// <summary>The log's writer: its step takes as long as the disk does.</summary>
    private sealed class DiskScheduler(SimNode node) : IWorkScheduler
    {
        private readonly int _epoch = node.Epoch;

        public void Schedule(int lane, IWorkItem item)
        {
            if (_epoch == node.Epoch)
            {
                node.Plan(node._random.Between(50_000, node.DiskDelayNs), "disk", item.Run);
            }
        }
    }

    /// <summary>
    /// Flushes and compactions, step by step: each is held between any two steps for a while, and everything else goes on.
    /// </summary>
    private sealed class SimBackground : IBackgroundScheduler
    {
        private readonly SimNode _node;
        private readonly InlineScheduler _jobs;
        private readonly int _epoch;
        private bool _planned;

        public SimBackground(SimNode node)
        {
            _node = node;
            _epoch = node.Epoch;
            _jobs = new InlineScheduler(node._random.Next);
        }

        public bool HasThreads => false;

        public void Schedule(BackgroundKind kind, IEnumerator<BackgroundPoint> job)
        {
            _jobs.Schedule(kind, job);
            Plan(_node._random.Between(100_000, 20_000_000));
        }

        public void ScheduleLater(BackgroundKind kind, TimeSpan delay, Action call)
        {
            if (_epoch == _node.Epoch)
            {
                _node.Plan((long)(delay.TotalMilliseconds * 1e6), "background", call);
            }
        }

        public bool TryRunOne() => _jobs.TryRunOne();

        public void Pause(TimeSpan time)
        {
            // Rates are kept by real time only.
        }

        public void Dispose() => _jobs.Dispose();

        private void Plan(long delayNs)
        {
            if (_epoch != _node.Epoch || _planned)
            {
                return;
            }

            // Opening schedules before the node is there; the step comes after that.
            _planned = true;
            _node._world.After(delayNs, () =>
            {
                if (_epoch == _node.Epoch && _node.Node is not null)
                {
                    _node.Plan(0, "background", Step);
                }
            });
        }

        private void Step()
        {
            _planned = false;
            if (_jobs.TryRunOne())
            {
                Plan(_node._random.Between(10_000, 2_000_000));
            }
        }
    }
}
