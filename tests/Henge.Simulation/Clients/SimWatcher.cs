using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Watch;
using Henge.Simulation.World;

namespace Henge.Simulation.Clients;

/// <summary>
/// Watches everything from the beginning, through whichever node is there: reads at its own pace, and goes on elsewhere with the token
/// when its node dies or on a whim. At times it has the node act as if it did not carry some of the shards, so that other nodes give their
/// events, or as if it let go of one meanwhile. Where history from the beginning is not kept, it begins a little above the oldest that is.
/// What it has seen in the end must be the whole history from there on, each event once, in order.
/// </summary>
internal sealed class SimWatcher(int number, SimCluster cluster) : IWatchReceiver
{
    private const long MarginMs = 60_000;
    private readonly SimRandom _random = cluster.World.Random.Fork();

    // What came of a read that broke off lies behind the token, and comes again: it counts only together with the token.
    private readonly List<(string Key, ulong Version, WatchReason Reason, long Value)> _came = [];
    private NodeWatch? _watch;
    private SimNode? _node;
    private int _epoch;
    private byte[] _token = [];
    private bool _signalled;
    private int _hidden;

    /// <summary>Events by key, in the order in which they came: version, reason, value number.</summary>
    public SortedDictionary<string, List<(ulong Version, WatchReason Reason, long Value)>> Seen { get; } = new(StringComparer.Ordinal);

    /// <summary>From which version on it has seen all events.</summary>
    public Core.Version Start { get; private set; } = new(1);

    /// <summary>Begins.</summary>
    public void Begin() => cluster.World.AfterMs(_random.Next(200), Turn);

    /// <summary>
    /// When the faults are over, other nodes give all watchers all events within a time, up to the last, at one moment.
    /// </summary>
    public static void CatchUp(IReadOnlyList<SimWatcher> watchers, SimCluster cluster, SimRandom random, long limitMs)
    {
        (SimWatcher Watcher, SimNode Node)[] all = [.. watchers.Select(w => (w, random.Pick(cluster.Nodes)))];
        foreach (SimWatcher watcher in watchers)
        {
            watcher.Close();
        }

        if (!cluster.World.RunUntil(cluster.World.NowMs + limitMs, () => all.All(static a => a.Watcher.HasAll(a.Node))))
        {
            throw new SimulationException(
                "A virtual minute after the faults watchers still have not got all events from other nodes; they stand at "
                    + string.Join("; ", watchers.Select(static w => string.Join(", ", w.Positions()))));
        }
    }

    /// <summary>Reads everything that there is on one node that carries all shards, in the end.</summary>
    public void Drain(SimNode node)
    {
        Close();
        Open(node, static _ => false);
        if (_watch is null)
        {
            // History from its start was gone just now.
            Open(node, static _ => false);
        }

        do
        {
            // A watch that collects history in steps gives nothing at some of them, and says that it is to be asked again.
            _signalled = false;
        }
        while (_watch is not null && (Read(node, 1_000) || _signalled));
    }

    public void OnEvent(in WatchEventView watchEvent)
    {
        if (watchEvent.Reason == WatchReason.Progress)
        {
            return;
        }

        long value = watchEvent.Reason == WatchReason.Put ? SimValue.NumberOf(watchEvent.Value, watchEvent.Type) : 0;
        _came.Add((Encoding.ASCII.GetString(watchEvent.Key), watchEvent.Version.Value, watchEvent.Reason, value));
    }

    private void Turn()
    {
        if (cluster.IsOver)
        {
            return;
        }

        if (cluster.ClientsStop)
        {
            return;
        }

        if (_node is null || _node.Epoch != _epoch || _node.Node is null || _random.PerMille(20))
        {
            Close();
            // Also one that was started with other settings: it must refuse the watch by itself.
            if (cluster.AnyNode(_random) is { } node)
            {
                Open(node, Hidden());
            }
        }
        else if (!_node.IsPaused)
        {
            if (_random.PerMille(20) && cluster.Nodes.Count > 1)
            {
                // As if the node let go of a shard just now; or as if it had just come.
                int shard = _random.Next(cluster.Shards);
                _hidden ^= 1 << shard;
                cluster.Statistics.WatchesLeft += (_hidden & (1 << shard)) != 0 && _watch!.TryLeave(new ShardId((uint)shard)) ? 1 : 0;
            }

            Read(_node, 1 + _random.Next(20));
        }

        cluster.World.AfterMs(_random.PerMille(50) ? _random.Next(3_000) : _random.Next(60), Turn);
    }

    // Which shards other nodes are to give the events of.
    private Predicate<ShardId> Hidden()
    {
        _hidden = _random.Next(3) switch { 0 => 0, 1 => -1, _ => _random.Next(1 << cluster.Shards) };
        if (cluster.Nodes.Count == 1)
        {
            return static _ => false;
        }

        cluster.Statistics.WatchesRemote += _hidden == 0 ? 0 : 1;
        return shard => (_hidden & (1 << (int)shard.Value)) != 0;
    }

    private bool HasAll(SimNode node)
    {
        if (_watch is null)
        {
            Open(node, shard => cluster.Nodes.Any(other => other != node && other.Node?.Parts.MachineOf(shard) is not null));
        }
        else
        {
            while (Read(node, 1_000))
            {
            }
        }

        List<ShardPosition> positions = Positions();
        return positions.Count == cluster.Shards && positions.TrueForAll(p => p.Next > cluster.LastVersionOf(p.Shard));
    }

    private List<ShardPosition> Positions()
    {
        var positions = new List<ShardPosition>();
        _watch?.CopyPositions(positions);
        return positions;
    }

    private void Open(SimNode node, Predicate<ShardId> hidden)
    {
        node.Guard("watch", () =>
        {
            try
            {
                cluster.Statistics.WatchResumes += _token.Length > 0 ? 1 : 0;
                _watch = (NodeWatch)node.Node!.Parts.Watches.Hiding(hidden).Open(new WatchQuery
                {
                    Start = Start,
                    Resume = _token,
                    PreviousValues = _random.PerMille(300),
                    Progress = _random.PerMille(500)
                }, () => _signalled = true);
                if (node.Misfit is not null)
                {
                    throw new SimulationException($"Watcher {number}: node {node.Index} has never been part of the cluster, and opened a "
                        + $"watch.");
                }

                (_node, _epoch) = (node, node.Epoch);
            }
            catch (HengeException e) when (e.Code == ErrorCode.HistoryGone)
            {
                Lose(e.Message);
            }
            catch (HengeException e) when (node.MayRefuse(e))
            {
                // The shard is being taken in from its leader, or the node has not joined yet: elsewhere it goes on where it was.
                cluster.Statistics.Errors++;
                Close();
            }
        });
    }

    private bool Read(SimNode node, int items)
    {
        bool any = false;
        _came.Clear();
        node.Guard("watch", () =>
        {
            try
            {
                if (!_watch!.TryOpen())
                {
                    return;
                }

                any = _watch.TryRead(this, items, 64 * 1024);
                _token = _watch.ResumeToken;
                _came.ForEach(Take);
            }
            catch (HengeException e) when (e.Code == ErrorCode.HistoryGone)
            {
                Lose(e.Message);
            }
            catch (HengeException e) when (node.MayRefuse(e))
            {
                // The shard is being taken in from its leader: elsewhere it goes on where it was.
                cluster.Statistics.Errors++;
                Close();
            }
        });
        return any;
    }

    private void Take((string Key, ulong Version, WatchReason Reason, long Value) came)
    {
        if (!Seen.TryGetValue(came.Key, out List<(ulong Version, WatchReason Reason, long Value)>? events))
        {
            Seen.Add(came.Key, events = []);
        }

        if (events.Count > 0 && events[^1].Version >= came.Version)
        {
            throw new SimulationException(
                $"Watcher {number}: {came.Key} came at version {came.Version} after {events[^1].Version}: repeated, or out of order.");
        }

        cluster.Statistics.WatchEvents++;
        events.Add((came.Version, came.Reason, came.Value));
    }

    private void Lose(string told)
    {
        // History goes on being let go while the watcher looks for another node. A replica that took in a snapshot may keep less than its
        // node does.
        CheckGone(told);
        cluster.Statistics.HistoryGone++;
        Core.Version floor = cluster.HighestFloor;
        Start = Core.Version.FromMilliseconds(Math.Max(floor.Milliseconds, Start.Milliseconds) + MarginMs);
        _token = [];
        Seen.Clear();
        Close();
    }

    // Somebody must have let history go above where the watcher stands. A node that has crashed since might have been the one, and have
    // more of it now, since the floor is not made durable each time that it rises.
    private void CheckGone(string told)
    {
        if (cluster.Nodes.Any(static n => n.Node is null || n.Misfit is not null))
        {
            return;
        }

        List<(ShardId Shard, Core.Version Next)> stands = _token.Length > 0
            ? ResumeToken.Decode(_token, cluster.Shards)
            : [.. Enumerable.Range(0, cluster.Shards).Select(s => (new ShardId((uint)s), Start))];
        if (!stands.Exists(p => cluster.MachinesOf(p.Shard).Any(m => m.HistoryFloor >= p.Next)
            || cluster.Nodes.Any(n => n.FloorAtCrash >= p.Next)))
        {
            throw new SimulationException(
                $"Watcher {number}: history is said to be gone where every node has it: {string.Join(", ", stands)}: {told}");
        }
    }

    private void Close()
    {
        // A watch of a node that is gone is gone with it.
        if (_node is not null && _node.Epoch == _epoch && _node.Node is not null)
        {
            _watch?.Dispose();
        }

        _watch = null;
        _node = null;
    }
}
