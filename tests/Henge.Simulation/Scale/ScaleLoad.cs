using System.Buffers;
using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Simulation.Clients;
using Henge.Simulation.World;

namespace Henge.Simulation.Scale;

/// <summary>
/// The clients of a run: each has one operation under way, on a key of a large space, and goes straight to the leader of the key's shard.
/// </summary>
internal sealed class ScaleLoad
{
    // So many that no node has more of them than another by more than a few of a thousand: with eight for a shard, as it once was, the
    // busiest node had a third more than the mean.
    private const int Keys = 1_000_000;

    private readonly SimWorld _world;
    private readonly SimNode[] _leaders;
    private readonly SimRandom _random;
    private readonly Dictionary<int, long> _doneBy = [];
    private readonly ScaleSetting _setting;
    private bool _stopped;

    public ScaleLoad(SimWorld world, IReadOnlyList<SimNode> leaders, ScaleSetting setting)
    {
        _world = world;
        _setting = setting;
        _leaders = [.. leaders];
        _random = world.Random.Fork();
        var map = new ShardMap(setting.Shards);
        for (int client = 0; client < setting.Nodes * setting.ClientsForNode; client++)
        {
            Next(map);
        }
    }

    /// <summary>Operations that were done.</summary>
    public long Done { get; private set; }

    /// <summary>Of these, writes.</summary>
    public long Writes { get; private set; }

    /// <summary>Of these, operations that went to a node.</summary>
    public long DoneBy(int node) => _doneBy.GetValueOrDefault(node);

    /// <summary>No client begins another operation.</summary>
    public void Stop() => _stopped = true;

    private void Next(ShardMap map)
    {
        if (_stopped)
        {
            return;
        }

        byte[] key = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"key{_random.Between(0, Keys)}"));
        SimNode node = _leaders[map.ShardOf(key).Value];
        bool isWrite = _random.PerMille(_setting.WritesPerMille);
        var operation = new SimOperation(o =>
        {
            if (o.Error != ErrorCode.None)
            {
                throw new SimulationException($"an operation without faults failed: {o.Error} {o.ErrorMessage}");
            }

            Done++;
            Writes += isWrite ? 1 : 0;
            _doneBy[node.Index] = _doneBy.GetValueOrDefault(node.Index) + 1;
            _world.After(_random.Between(1_000_000, 5_000_000), () => Next(map));
        })
        {
            Kind = isWrite ? OperationKind.Write : OperationKind.Get,
            Key = key,
        };
        if (isWrite)
        {
            var command = new ArrayBufferWriter<byte>();
            CommandEncoder.Put(command, key, new byte[100], new PutOptions());
            operation.Command = command.WrittenMemory;
        }

        node.Plan(_random.Between(10_000, 100_000), "submit", () => node.Node!.Submit(operation));
    }
}
