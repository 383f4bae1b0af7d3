using System.Buffers;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Simulation.World;
using Henge.Storage;

namespace Henge.Simulation.Clients;

/// <summary>One operation of a pipeline, and what became of it.</summary>
internal sealed class PipelinedOperation
{
    /// <summary>The number written; 0 for a read.</summary>
    public long Value { get; init; }

    /// <summary>True when it ended well.</summary>
    public bool IsOk { get; set; }

    /// <summary>The version written or seen; 0 when there was nothing.</summary>
    public ulong Version { get; set; }
}

/// <summary>What one connection sent for one key, in order.</summary>
internal sealed record PipelineRecord(string Key, List<PipelinedOperation> Operations);

/// <summary>
/// A client that does not wait for answers: it connects to a node, sends writes and reads of one key, group after group, and never repeats
/// any. The final check holds what took effect against the order in which it was sent.
/// </summary>
internal sealed class SimPipeline(SimCluster cluster, SimHistory history)
{
    private const int MostUnderWay = 64;
    private readonly SimRandom _random = cluster.World.Random.Fork();
    private ulong _connections;
    private int _underWay;

    private SimWorld World => cluster.World;

    /// <summary>True while anything is under way.</summary>
    public bool Busy => _underWay > 0;

    /// <summary>Begins.</summary>
    public void Start() => World.AfterMs(_random.Next(50), Connect);

    private void Connect()
    {
        if (cluster.ClientsStop)
        {
            return;
        }

        byte[] key = _random.Pick(cluster.PipelineKeys);
        if (cluster.AnyNode(_random) is not { } node)
        {
            World.AfterMs(100, Connect);
            return;
        }

        var record = new PipelineRecord(Encoding.ASCII.GetString(key), []);
        history.Pipelines.Add(record);
        Send(node, node.Epoch, key, record, ++_connections, groups: 2 + _random.Next(60));
    }

    private void Send(SimNode node, int epoch, byte[] key, PipelineRecord record, ulong pipeline, int groups)
    {
        if (groups == 0 || cluster.ClientsStop || node.Epoch != epoch)
        {
            World.AfterMs(_random.Between(1, 50), Connect);
            return;
        }

        if (_underWay < MostUnderWay)
        {
            var group = new List<SimOperation>();
            for (int i = 1 + _random.Next(4); i > 0; i--)
            {
                group.Add(Next(node, epoch, key, record, pipeline));
            }

            // The delay is the same for all groups of a connection, so that they arrive in order.
            _underWay += group.Count;
            node.Plan(50_000, "submit", () =>
            {
                foreach (SimOperation operation in group)
                {
                    operation.DeadlineMs = node.Node!.MonotonicMs + _random.Between(50, 3_000);
                }

                node.Node!.Submit([.. group]);
            });
        }

        World.After(_random.Between(200_000, 2 * cluster.RestNs), () => Send(node, epoch, key, record, pipeline, groups - 1));
    }

    private SimOperation Next(SimNode node, int epoch, byte[] key, PipelineRecord record, ulong pipeline)
    {
        bool write = _random.PerMille(750);
        var sent = new PipelinedOperation { Value = write ? ++history.LastValue : 0 };
        record.Operations.Add(sent);
        bool ended = false;
        void End(SimOperation? operation)
        {
            if (!ended)
            {
                ended = true;
                _underWay--;
                Conclude(node, epoch, sent, operation);
            }
        }

        World.AfterMs(4_000, () => End(null));
        var operation = new SimOperation(o =>
        {
            cluster.LeaderNames.Check(o);
            World.After(10_000, () => End(o));
        })
        {
            Kind = write ? OperationKind.Write : OperationKind.Get,
            Key = key,
            Pipeline = pipeline,
        };
        cluster.Statistics.Pipelined++;
        if (write)
        {
            var command = new ArrayBufferWriter<byte>();
            CommandEncoder.Put(command, key, SimValue.Create(sent.Value, _random));
            operation.Command = command.WrittenMemory;
        }

        return operation;
    }

    private void Conclude(SimNode node, int epoch, PipelinedOperation sent, SimOperation? operation)
    {
        ErrorCode error = operation?.Error ?? ErrorCode.UnknownOutcome;
        if (error != ErrorCode.None)
        {
            if (sent.Value != 0 && error is not (ErrorCode.UnknownOutcome or ErrorCode.Cancelled or ErrorCode.Internal))
            {
                history.Refused.Add(sent.Value);
            }

            return;
        }

        if (sent.Value != 0)
        {
            sent.IsOk = true;
            sent.Version = operation!.Version.Value;
        }
        else if (node.Epoch == epoch && node.Node is not null && !node.IsPaused)
        {
            sent.IsOk = node.Guard("read", () => Read(node, operation!, sent)) && sent.IsOk;
        }
    }

    private static void Read(SimNode node, SimOperation get, PipelinedOperation sent)
    {
        try
        {
            if (node.Node!.TryRead(get, out PinnedValue pinned))
            {
                using (pinned)
                {
                    sent.Version = pinned.Version.Value;
                }
            }

            sent.IsOk = true;
        }
        catch (HengeException e) when (node.MayRefuse(e))
        {
            // The shard's state is being replaced.
            sent.IsOk = false;
        }
    }
}
