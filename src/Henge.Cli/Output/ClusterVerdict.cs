using System.Globalization;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Output;

/// <summary>Whether a cluster serves, in a word for scripts and a sentence for people.</summary>
internal sealed record ClusterVerdict
{
    /// <summary>Every shard has a leader that a majority of the nodes is there for.</summary>
    public required bool Serves { get; init; }

    /// <summary>It serves, every node is up, and no replica is in trouble.</summary>
    public required bool Whole { get; init; }

    /// <summary>Why.</summary>
    public required string Reason { get; init; }

    /// <summary><c>healthy</c>, <c>degraded</c> (serves, but another failure may end that) or <c>unavailable</c>.</summary>
    public string Word => Whole ? "healthy" : Serves ? "degraded" : "unavailable";

    /// <summary>
    /// Judges by what the nodes say of themselves. A shard has a leader when a node that answers says that it leads it, and more than half
    /// of those who vote in it are nodes that answer: a leader that is cut off from its followers says that it leads until its election
    /// timeout is over. Nodes without a replica of it do not count.
    /// </summary>
    public static ClusterVerdict Of(ClusterState state)
    {
        if (state.All is not { Nodes.Count: > 0 } all)
        {
            return OfOne(state.Own);
        }

        Wire.ClusterStatusResponse.Types.Node[] up = [.. all.Nodes.Where(static n => n.Status is not null)];
        string[] down = [.. all.Nodes.Where(static n => n.Status is null).Select(static n => n.NodeId)];
        Dictionary<uint, ShardView> shards = [];

        // Of a shard whose replicas are all down, no node that answers says anything.
        uint count = Math.Min(state.Topology?.ShardCount ?? 0, ShardMap.MaxShards);
        for (uint shard = 0; shard < count; shard++)
        {
            shards[shard] = new ShardView();
        }

        foreach (Wire.ClusterStatusResponse.Types.Node node in up)
        {
            foreach (Wire.ShardStatus replica in node.Status.Shards.Where(static s => s.Role == "leader"))
            {
                ShardView known = shards.GetValueOrDefault(replica.Shard) ?? new ShardView();
                shards[replica.Shard] = known.Leader is null || known.Leader.Term < replica.Term
                    ? new ShardView(node.NodeId, replica)
                    : known;
            }

            foreach (Wire.ShardStatus replica in node.Status.Shards)
            {
                shards.TryAdd(replica.Shard, new ShardView());
            }
        }

        int leaderless = shards.Count(s => !HasMajority(s.Key, s.Value, up, state));
        int failed = up.Sum(static n => n.Status.Shards.Count(static s => s.Error.Length > 0));
        int moving = shards.Values.Count(static s => s.Leader?.Peers.Any(static p => p.Learner) == true);
        List<string> reasons =
        [
            $"{up.Length} of {Count(all.Nodes.Count, "node")} up" + (down.Length > 0 ? $" (not {string.Join(", ", down)})" : ""),
            shards.Count == 0 ? "no shard is known of"
                : leaderless == shards.Count ? "no majority, so that nothing can be written or read linearizably"
                : leaderless > 0 ? $"{leaderless} of {Count(shards.Count, "shard")} without a leader"
                : "every shard has a leader",
        ];
        reasons.AddRange((state.Topology?.Nodes ?? [])
            .Where(static n => n.State is not ("" or "up"))
            .GroupBy(static n => n.State)
            .Select(static g => $"{g.Key}: {string.Join(", ", g.Select(static n => n.NodeId))}"));
        if (moving > 0)
        {
            reasons.Add($"{Count(moving, "shard")} with a replica that catches up");
        }

        if (failed > 0)
        {
            reasons.Add($"{Count(failed, "replica")} in trouble (see --shards)");
        }

        return new ClusterVerdict
        {
            Serves = leaderless == 0 && shards.Count > 0,
            Whole = leaderless == 0 && shards.Count > 0 && down.Length == 0 && failed == 0,
            Reason = string.Join(", ", reasons),
        };
    }

    private static ClusterVerdict OfOne(Wire.StatusResponse own)
    {
        int unknown = own.Shards.Count(static s => s.LeaderId.Length == 0 && s.Role != "leader");
        return new ClusterVerdict
        {
            Serves = unknown == 0,
            Whole = unknown == 0 && own.Shards.All(static s => s.Error.Length == 0),
            Reason = own.Shards.Count == 0 ? $"{own.NodeId} has no shards, and passes on what it is asked"
                : unknown == 0 ? $"{own.NodeId} knows a leader of each of {Count(own.Shards.Count, "shard")}"
                : $"{own.NodeId} knows no leader of {unknown} of {Count(own.Shards.Count, "shard")}",
        };
    }

    private static bool HasMajority(uint number, ShardView shard, Wire.ClusterStatusResponse.Types.Node[] up, ClusterState state)
    {
        if (shard is not { Node: { } node, Leader: { } leader })
        {
            return false;
        }

        // Who votes, the leader knows; else where the shard was put, or, of nodes that do not tell, all.
        IEnumerable<string> voters = leader.Peers.Count > 0
            ? leader.Peers.Where(static p => !p.Learner).Select(static p => p.NodeId).Append(node)
            : state.Topology?.Shards.FirstOrDefault(s => s.Shard == number) is { Replicas.Count: > 0 } placed
                ? placed.Replicas
                : state.All!.Nodes.Select(static n => n.NodeId);
        string[] all = [.. voters.Distinct()];
        return all.Count(v => up.Any(n => n.NodeId == v)) > all.Length / 2;
    }

    private static string Count(int number, string what) =>
        string.Create(CultureInfo.InvariantCulture, $"{number} {what}{(number == 1 ? "" : "s")}");

    private sealed record ShardView(string? Node = null, Wire.ShardStatus? Leader = null);
}
