using System.Buffers;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Simulation.Clients;
using Henge.Simulation.World;
using Henge.Storage;

namespace Henge.Simulation.Drills;

/// <summary>Writes of new keys on all shards while a cluster is destroyed and recovered, and what came of them.</summary>
internal sealed class RecoveryWrites(SimCluster cluster, SimRandom random)
{
    private const long PatienceMs = 5_000;
    private readonly List<Written> _written = [];
    private readonly string[] _tags = [.. cluster.PipelineKeys.Select(static k => Encoding.ASCII.GetString(k, 0, k.Length - 1))];
    private long _number;
    private bool _stopped;

    /// <summary>Begins.</summary>
    public void Start()
    {
        for (int i = 0; i < 3; i++)
        {
            Next();
        }
    }

    /// <summary>Nothing new is begun.</summary>
    public void Stop() => _stopped = true;

    /// <summary>Each shard must take a write by each node, but for those that are not there.</summary>
    public void MustTakeMore(IReadOnlyList<SimNode> nodes, Func<int, bool> isUnavailable)
    {
        foreach (SimNode node in nodes)
        {
            for (int shard = 0; shard < cluster.Shards; shard++)
            {
                bool done = isUnavailable(shard);
                long end = cluster.World.NowMs + 30_000;
                while (!done && cluster.World.NowMs < end)
                {
                    bool ended = false;
                    Write(node, shard, ok => (ended, done) = (true, ok));
                    cluster.World.RunUntil(end, () => ended);
                }

                if (!done)
                {
                    throw new SimulationException(
                        $"After a recovery shard {shard} takes no write by node {node.Index}: " + cluster.Describe());
                }
            }
        }
    }

    /// <summary>All that was acknowledged up to a version must be on all nodes that have the shard.</summary>
    public void MustBeThere(int shard, Core.Version kept, IReadOnlyList<SimNode> nodes)
    {
        foreach (SimNode node in nodes.Where(n => n.ReplicaOf(shard) is not null))
        {
            foreach (Written write in _written.Where(w => w.Shard == shard && w.Version <= kept.Value))
            {
                var seen = new Newest();
                node.Node!.History(write.Key, Core.Version.Max, 1, seen);
                if (seen.Version != write.Version)
                {
                    throw new SimulationException(
                        $"An acknowledged write of shard {shard}, version {write.Version}, is lost on node {node.Index}, and the plan of "
                            + $"the recovery said that everything up to {kept} is kept: it has {seen.Version}. {cluster.Describe()}");
                }
            }
        }
    }

    private void Next()
    {
        if (_stopped)
        {
            return;
        }

        if (cluster.AnyNode(random) is { } node)
        {
            Write(node, random.Next(cluster.Shards), _ => cluster.World.After(random.Between(100_000, 20_000_000), Next));
        }
        else
        {
            cluster.World.AfterMs(50, Next);
        }
    }

    private void Write(SimNode node, int shard, Action<bool> ended)
    {
        byte[] key = Encoding.ASCII.GetBytes($"{_tags[shard]}r{++_number}");
        var command = new ArrayBufferWriter<byte>();
        CommandEncoder.Put(command, key, SimValue.Create((1L << 44) + _number, random), default);
        bool answered = false;
        var operation = new SimOperation(o =>
        {
            if (o.Error == ErrorCode.None)
            {
                _written.Add(new Written(shard, key, o.Version.Value));
            }

            if (!answered)
            {
                answered = true;
                ended(o.Error == ErrorCode.None);
            }
        })
        {
            Kind = OperationKind.Write,
            Key = key,
            Command = command.WrittenMemory,
        };

        // The node may die, and then nobody answers.
        cluster.World.AfterMs(PatienceMs + 500, () =>
        {
            if (!answered)
            {
                answered = true;
                ended(false);
            }
        });
        node.Plan(0, "submit", () =>
        {
            operation.DeadlineMs = node.Node!.MonotonicMs + PatienceMs;
            node.Node.Submit(operation);
        });
    }

    private readonly record struct Written(int Shard, byte[] Key, ulong Version);

    private sealed class Newest : IScanReceiver
    {
        public ulong Version { get; private set; }

        public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs) =>
            Version = Math.Max(Version, version.Value);
    }
}
