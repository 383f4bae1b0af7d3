using Google.Protobuf;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.V1;
using Henge.Server.Calls;

namespace Henge.Server.Cluster;

/// <summary>
/// The topology as it was at a moment, encoded once for all who watch it: the whole, and what differs from the edition before. Immutable.
/// </summary>
internal sealed class TopologyEdition
{
    private readonly TaskCompletionSource _superseded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lazy<ReadOnlyMemory<byte>> _whole;

    private TopologyEdition(Topology topology, ulong number, ReadOnlyMemory<byte> changes)
    {
        Topology = topology;
        Number = number;
        Changes = changes;
        _whole = new Lazy<ReadOnlyMemory<byte>>(() => ToMessage(Topology).ToByteArray());
    }

    /// <summary>What it says.</summary>
    public Topology Topology { get; }

    /// <summary>Counts editions.</summary>
    public ulong Number { get; }

    /// <summary>The message for whoever has nothing yet, or has missed an edition.</summary>
    public ReadOnlyMemory<byte> Whole => _whole.Value;

    /// <summary>The message for whoever has the edition before; all of the topology when nodes have changed.</summary>
    public ReadOnlyMemory<byte> Changes { get; }

    /// <summary>Ends when there is a newer edition.</summary>
    public Task Superseded => _superseded.Task;

    /// <summary>The first edition.</summary>
    public static TopologyEdition First(Topology topology) => new(topology, 1, default);

    /// <summary>The edition behind this one; null when it would say the same.</summary>
    public TopologyEdition? Next(Topology topology)
    {
        if (topology.ClusterId != Topology.ClusterId
            || topology.MembersVersion != Topology.MembersVersion
            || !topology.Nodes.SequenceEqual(Topology.Nodes))
        {
            // Shards name nodes: what a name meant may be another thing now.
            return new TopologyEdition(topology, Number + 1, ToMessage(topology).ToByteArray());
        }

        TopologyResponse changes = HeadOf(topology);
        for (int s = 0; s < topology.Shards.Count; s++)
        {
            if (!IsSame(topology.Shards[s], Topology.Shards[s]))
            {
                changes.Shards.Add(ToMessage(topology.Shards[s], topology));
            }
        }

        return changes.Shards.Count > 0 ? new TopologyEdition(topology, Number + 1, changes.ToByteArray()) : null;
    }

    /// <summary>There is a newer edition: those who wait for it go on.</summary>
    public void Supersede() => _superseded.TrySetResult();

    /// <summary>A topology as a message.</summary>
    public static TopologyResponse ToMessage(Topology topology)
    {
        TopologyResponse message = HeadOf(topology);
        message.Nodes.AddRange(topology.Nodes.Select(StatusMapper.ToMessage));
        message.Shards.AddRange(topology.Shards.Select(shard => ToMessage(shard, topology)));
        return message;
    }

    private static TopologyResponse HeadOf(Topology topology) => new()
    {
        ClusterId = topology.ClusterId,
        Epoch = topology.Epoch,
        MembersGeneration = topology.MembersVersion.Value,
        ShardCount = (uint)topology.Shards.Count,
    };

    private static ShardInfo ToMessage(ShardPlacement placement, Topology topology)
    {
        ShardInfo shard = new()
        {
            Shard = placement.Shard.Value,
            LeaderId = StatusMapper.NameOf(placement.Leader, topology),
            Term = placement.Term.Value,
            MembershipTerm = placement.MembershipTerm.Value,
            MembershipIndex = placement.MembershipIndex,
        };
        shard.Replicas.AddRange(placement.Replicas.Select(id => StatusMapper.NameOf(id, topology)));
        return shard;
    }

    private static bool IsSame(ShardPlacement one, ShardPlacement other) =>
        one.Leader == other.Leader
        && one.Term == other.Term
        && (ReferenceEquals(one.Replicas, other.Replicas) || one.Replicas.SequenceEqual(other.Replicas));
}
