using System.Buffers;
using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Simulation.Checking;
using Henge.Simulation.World;
using Henge.Storage;

namespace Henge.Simulation.Clients;

/// <summary>
/// Writes keys with a time to live, each once, and reads them on any node. Those with a long one must be there until the end, since a
/// majority's clocks are about right; one with a short one that was seen gone must not be seen again, whichever node is asked.
/// </summary>
internal sealed class SimTimeToLive(SimClient client, SimCluster cluster, SimHistory history)
{
    private const int MaxKeys = 40;
    private readonly SimRandom _random = cluster.World.Random.Fork();
    private readonly List<Lease> _leases = [];

    /// <summary>Begins.</summary>
    public void Start() => cluster.World.AfterMs(_random.Next(100), Turn);

    /// <summary>In the end: no key may be gone whose time has not come, on any node.</summary>
    public void Check()
    {
        foreach (Lease lease in _leases.Where(l => l.IsLong && cluster.HasTime))
        {
            foreach (SimNode node in cluster.ServersOf(lease.Key))
            {
                ShardId shard = node.Node!.Parts.Context.Shards.ShardOf(lease.Key);
                var get = new SimOperation(static _ => { })
                {
                    Kind = OperationKind.Get,
                    Key = lease.Key,
                    Shard = shard,
                    Version = node.Node.Parts.Hosted[shard].Machine.LastVersion,
                };
                if (!node.Node.TryRead(get, out PinnedValue value))
                {
                    throw new SimulationException($"{lease} is gone on node {node.Index}, and no more than two minutes have passed: "
                        + $"{shard} at {get.Version}, time {new Core.Version(get.Version.Value).Milliseconds}. " + cluster.Describe());
                }

                value.Dispose();
            }
        }
    }

    private void Turn()
    {
        if (cluster.ClientsStop)
        {
            return;
        }

        if (_leases.Count < MaxKeys && (_leases.Count == 0 || _random.PerMille(300)))
        {
            Write();
        }
        else
        {
            // Mostly one whose end is near.
            Read(_random.PerMille(700) ? _leases.Find(static l => !l.IsLong && !l.IsGone) ?? _random.Pick(_leases) : _random.Pick(_leases));
        }

        cluster.World.AfterMs(_random.Between(5, 150), Turn);
    }

    private void Write()
    {
        bool isLong = _random.PerMille(500);
        long ttlMs = isLong ? _random.Pick<long>([600_000, 7_000_000, 360L * 86_400_000]) : _random.Between(100, 2_500);
        byte[] key =
        [
            .. Encoding.ASCII.GetBytes($"{{t{_random.Next(8)}}}ttl"),
            .. Encoding.ASCII.GetBytes((++history.LastValue).ToString(CultureInfo.InvariantCulture)),
        ];
        if (client.AnyNode() is not { } node)
        {
            return;
        }

        var command = new ArrayBufferWriter<byte>();
        CommandEncoder.Put(command, key, SimValue.Create(history.LastValue, _random), new PutOptions { Expiry = Expiry.After(ttlMs) });
        client.Run(node, o => (o.Kind, o.Key, o.Command) = (OperationKind.Write, key, command.WrittenMemory), o =>
        {
            if (o?.Error == ErrorCode.None)
            {
                cluster.Statistics.ExpiringWrites++;
                _leases.Add(new Lease(key, isLong, ttlMs));
            }
        });
    }

    private void Read(Lease lease)
    {
        if (client.AnyNode() is not { } node)
        {
            return;
        }

        int epoch = node.Epoch;
        bool wasGone = lease.IsGone;
        client.Run(node, o => (o.Kind, o.Key) = (OperationKind.Get, lease.Key), get =>
        {
            if (get is not { Error: ErrorCode.None } || node.Epoch != epoch || node.Node is null || node.IsPaused)
            {
                return;
            }

            node.Guard("read", () =>
            {
                bool there;
                try
                {
                    there = node.Node.TryRead(get, out PinnedValue value);
                    value.Dispose();
                }
                catch (HengeException e) when (node.MayRefuse(e))
                {
                    return;
                }

                // A node that is alone starts anew with whatever its clock says then.
                if (there && wasGone && cluster.HasTime)
                {
                    throw new SimulationException($"{lease} was gone, and then there again on node {node.Index}.");
                }

                if (!there && lease.IsLong && cluster.HasTime)
                {
                    throw new SimulationException($"{lease} was gone on node {node.Index}, and no more than two minutes had passed.");
                }

                cluster.Statistics.ExpiriesSeen += there || lease.IsGone ? 0 : 1;
                if (!there && !lease.IsGone)
                {
                    // Where clocks differ it may still be there elsewhere, for a moment.
                    lease.IsGone = true;
                    Read(lease);
                    Read(lease);
                }
            });
        });
    }

    private sealed class Lease(byte[] key, bool isLong, long ttlMs)
    {
        public byte[] Key => key;

        public bool IsLong => isLong;

        public bool IsGone { get; set; }

        public override string ToString() => $"{Encoding.ASCII.GetString(key)}, to live for {ttlMs} ms,";
    }
}
