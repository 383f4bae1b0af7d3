using Henge.Core;

namespace Henge.Cluster.Leaders;

/// <summary>
/// Which shards shall be led by others, so that leaders share the load and not only the number of shards. A pure function. It begins late
/// and ends early, and each transfer makes the more loaded of the two members clearly less loaded; so loads that stay the same lead to no
/// transfer back.
/// </summary>
public static class LeaderBalance
{
    /// <summary>The transfers that are worth it, the most useful first; none while loads are near enough.</summary>
    public static IReadOnlyList<LeaderTransfer> Plan(
        IReadOnlyList<ShardLoad> shards, IReadOnlyList<LeaderMember> members, LeaderBalanceOptions options)
    {
        Dictionary<NodeId, double> weights = members.ToDictionary(static m => m.Id, static m => (double)m.Weight);
        var loads = weights.Keys.ToDictionary(static id => id, static _ => 0.0);
        double total = 0;
        foreach (ShardLoad shard in shards.Where(s => loads.ContainsKey(s.Leader)))
        {
            loads[shard.Leader] += shard.OperationsPerSecond;
            total += shard.OperationsPerSecond;
        }

        if (members.Count < 2 || total < options.LeastOperationsPerSecond * members.Count)
        {
            return [];
        }

        // For each member the load by weight, in fair shares: 1 is fair.
        double fair = total / weights.Values.Sum();
        double Share(NodeId id, double more = 0) => (loads[id] + more) / (weights[id] * fair);
        List<ShardLoad> left = [.. shards.Where(s => loads.ContainsKey(s.Leader) && !options.Resting.Contains(s.Shard))];
        List<LeaderTransfer> transfers = [];
        bool begins = shards.Any(s => loads.ContainsKey(s.Leader) && Share(s.Leader) > options.BeginAbove)
            || shards.SelectMany(static s => s.Replicas).Distinct().Any(id => loads.ContainsKey(id) && Share(id) < options.BeginBelow);
        double bound = options.EndBelow;
        while (begins && transfers.Count < options.MaxTransfers)
        {
            (double Gain, double Share, ShardLoad Shard, NodeId To) best = default;
            foreach (ShardLoad shard in left.Where(s => Share(s.Leader) > bound))
            {
                double before = Share(shard.Leader);
                foreach (NodeId to in shard.Replicas.Where(id => id != shard.Leader && loads.ContainsKey(id)))
                {
                    double after = Math.Max(
                        Share(shard.Leader, -shard.OperationsPerSecond), Share(to, shard.OperationsPerSecond));
                    double gain = before - after;
                    if (gain >= options.LeastGain && (gain, -Share(to)).CompareTo((best.Gain, -best.Share)) > 0)
                    {
                        best = (gain, Share(to), shard, to);
                    }
                }
            }

            if (best.Gain == 0)
            {
                break;
            }

            loads[best.Shard.Leader] -= best.Shard.OperationsPerSecond;
            loads[best.To] += best.Shard.OperationsPerSecond;
            left.Remove(best.Shard);
            transfers.Add(new LeaderTransfer(best.Shard.Shard, best.Shard.Leader, best.To));
        }

        return transfers;
    }
}
