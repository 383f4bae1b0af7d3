using System.Buffers;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Replication;
using Henge.Node.StateMachine;
using Henge.Node.Workers;
using Henge.Raft;
using Henge.Simulation.Clients;
using Henge.Simulation.World;
using Henge.Storage;

namespace Henge.Simulation.Drills;

/// <summary>
/// What drills are made of: after the faults, on a cluster at rest, they play one dangerous schedule step by step, which chance would bring
/// about once in thousands of seeds. They write and read keys of their own.
/// </summary>
internal sealed class DrillStage(SimWorld world, SimCluster cluster)
{
    private const long SettleMs = 60_000;
    private const long WriteMs = 1_000;
    private readonly byte[][] _keys = [.. cluster.PipelineKeys.Select(static k => (byte[])[.. k[..^1], (byte)'d'])];
    private long _value = 1L << 40;

    public SimWorld World => world;

    public SimCluster Cluster => cluster;

    public SimRandom Random { get; } = world.Random.Fork();

    /// <summary>Lets time pass.</summary>
    public void Pass(long ms) => world.RunUntil(world.NowMs + ms);

    /// <summary>The node that leads a shard; null for none.</summary>
    public SimNode? LeaderOf(int shard) => cluster.Nodes.FirstOrDefault(n => Leads(n, shard));

    /// <summary>Whether a node leads a shard, as far as it knows.</summary>
    public static bool Leads(SimNode node, int shard) => node.ReplicaOf(shard)?.Group.Role == RaftRole.Leader;

    /// <summary>Cuts the ways between two nodes.</summary>
    public void Cut(SimNode a, SimNode b)
    {
        cluster.Network.Cut(a.Index, b.Index);
        cluster.Network.Cut(b.Index, a.Index);
    }

    /// <summary>Has a node stand for election, as far as it may.</summary>
    public static void StandForElection(SimNode node, int shard)
    {
        if (!node.IsPaused && node.ReplicaOf(shard) is { } replica)
        {
            node.Guard("campaign", () => replica.Worker.Post(new WorkerAction(_ => replica.StandForElection())));
        }
    }

    /// <summary>Has one of some nodes be elected, and write. The version of the write; 0 when that did not come about in time.</summary>
    public ulong WriteByNewLeader(SimNode[] nodes, int shard, long withinMs, SimNode? urged)
    {
        long end = world.NowMs + withinMs;
        while (world.NowMs < end)
        {
            if (nodes.FirstOrDefault(n => Leads(n, shard)) is { } leader)
            {
                return Write(leader, shard);
            }

            if (urged is not null)
            {
                StandForElection(urged, shard);
            }

            Pass(3);
        }

        return 0;
    }

    /// <summary>Writes the drill's key by a node; the version, or 0 when it failed.</summary>
    public ulong Write(SimNode node, int shard, SessionStamp session = default)
    {
        DrillWrite write = Send(node, shard, WriteMs, session);
        world.RunUntil(world.NowMs + WriteMs, () => write.Ended is not null);
        return write.Version;
    }

    /// <summary>Sends a write of the drill's key to a node, and does not wait for it.</summary>
    public DrillWrite Send(SimNode node, int shard, long withinMs, SessionStamp session = default)
    {
        var command = new ArrayBufferWriter<byte>();
        CommandEncoder.Put(command, _keys[shard], SimValue.Create(++_value, Random), default, session);
        return Send(node, shard, withinMs, command);
    }

    /// <summary>
    /// Uses a session's number up, as a client does that has not learned what came of a write; true when that was answered.
    /// </summary>
    public bool Void(SimNode node, int shard, SessionStamp session)
    {
        var command = new ArrayBufferWriter<byte>();
        SimClient.EncodeNothing(command, _keys[shard], session);
        DrillWrite nothing = Send(node, shard, WriteMs, command);
        world.RunUntil(world.NowMs + WriteMs, () => nothing.Ended is not null);
        return nothing.Ended is { Error: ErrorCode.None };
    }

    /// <summary>The drill's key must stand as a write left it: nothing came behind that.</summary>
    public void MustStand(SimNode node, int shard, ulong written, string why)
    {
        SimOperation? ended = null;
        Submit(node, new SimOperation(o => ended = o) { Kind = OperationKind.Get, Key = _keys[shard] }, WriteMs);
        world.RunUntil(world.NowMs + WriteMs + 50, () => ended is not null);
        if (ended is not { Error: ErrorCode.None } || node.Node is null)
        {
            return;
        }

        node.Guard("read", () =>
        {
            ulong seen = node.Node.TryRead(ended, out PinnedValue value) ? value.Version.Value : 0;
            value.Dispose();
            if (seen != written)
            {
                throw new SimulationException($"{why}: the key of shard {shard} is at version {seen} on node {node.Index}, and its last "
                    + $"write got version {written}.");
            }
        });
    }

    private DrillWrite Send(SimNode node, int shard, long withinMs, ArrayBufferWriter<byte> command)
    {
        var write = new DrillWrite();
        var operation = new SimOperation(o => write.Ended = o)
        {
            Kind = OperationKind.Write,
            Key = _keys[shard],
            Command = command.WrittenMemory,
        };
        Submit(node, operation, withinMs);
        return write;
    }

    /// <summary>
    /// Reads the drill's key by a node that has been overtaken: it may refuse, or find nobody to prove that it leads; if it answers, it
    /// must have seen a write that ended before.
    /// </summary>
    public void MustNotMiss(SimNode node, int shard, ulong written, long withinMs, string why)
    {
        SimOperation? ended = null;
        Submit(node, new SimOperation(o => ended = o) { Kind = OperationKind.Get, Key = _keys[shard] }, withinMs);
        world.RunUntil(world.NowMs + withinMs + 50, () => ended is not null);
        if (ended is not { Error: ErrorCode.None } || node.Node is null)
        {
            return;
        }

        node.Guard("read", () =>
        {
            ulong seen;
            try
            {
                seen = node.Node.TryRead(ended, out PinnedValue value) ? value.Version.Value : 0;
                value.Dispose();
            }
            catch (HengeException e) when (e.Code == ErrorCode.Unavailable)
            {
                return;
            }

            if (seen < written)
            {
                throw new SimulationException($"{why}: node {node.Index} answered a read of shard {shard} with version {seen}, and a write "
                    + $"of version {written} had ended before it began.");
            }
        });
    }

    /// <summary>Ends the drill: all is well again, and soon the cluster is at rest.</summary>
    public void Settle(string drill)
    {
        cluster.Network.Heal();
        if (!world.RunUntil(world.NowMs + SettleMs, cluster.IsSettled))
        {
            throw new SimulationException($"A virtual minute after {drill} the cluster still has not come to rest: " + cluster.Describe());
        }
    }

    private static void Submit(SimNode node, SimOperation operation, long withinMs) => node.Plan(0, "submit", () =>
    {
        operation.DeadlineMs = node.Node!.MonotonicMs + withinMs;
        node.Node.Submit(operation);
    });
}

/// <summary>A write that a drill sent.</summary>
internal sealed class DrillWrite
{
    /// <summary>The operation once it has ended.</summary>
    public SimOperation? Ended { get; set; }

    /// <summary>Its version; 0 as long as it has not ended well.</summary>
    public ulong Version => Ended is { Error: ErrorCode.None } ? Ended.Version.Value : 0;
}
