using Henge.Core;
using Henge.Raft;
using Henge.Simulation.Clients;
using Henge.Simulation.World;

namespace Henge.Simulation.Checking;

/// <summary>
/// Answers name the leader of a shard with its term, and clients keep to the highest term that they have heard of: of one term, all answers
/// must name the node that led in it, or clients would stay with another one.
/// </summary>
internal sealed class LeaderNames(SimCluster cluster)
{
    private readonly Dictionary<(ShardId Shard, Term Term), string> _leaders = [];

    /// <summary>An operation has been answered.</summary>
    public void Check(SimOperation operation)
    {
        if (operation.LeaderHint is not { } named || operation.LeaderTerm == default)
        {
            return;
        }

        foreach (SimNode node in cluster.Machines)
        {
            if (
                node.ReplicaOf((int)operation.Shard.Value)?.Group is { Role: RaftRole.Leader } group
                && node.Node!.Parts.Context.AddressOf(node.Id) is { } address)
            {
                Note(operation.Shard, group.Term, address);
            }
        }

        Note(operation.Shard, operation.LeaderTerm, named);
    }

    private void Note(ShardId shard, Term term, string address)
    {
        if (!_leaders.TryAdd((shard, term), address) && _leaders[(shard, term)] != address)
        {
            throw new SimulationException(
                $"{address} is named as the leader of {shard} in term {term}, in which {_leaders[(shard, term)]} led: {cluster.Describe()}");
        }
    }
}
