using System.Globalization;
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
    /// of its replicas are on nodes that answer: a leader that is cut off from its followers says that it leads until its election timeout
    /// is over.
    /// </summary>
    public static ClusterVerdict Of(Wire.StatusResponse own, Wire.ClusterStatusResponse? all)
    {
        if (all is not { Nodes.Count: > 0 })
        {
            int unknown = own.Shards.Count(static s => s.LeaderId.Length == 0 && s.Role != "leader");
            return new ClusterVerdict
            {
                Serves = unknown == 0,
                Whole = unknown == 0 && own.Shards.All(static s => s.Error.Length == 0),
                Reason = unknown == 0
                    ? $"{own.NodeId} knows a leader of each of {Count(own.Shards.Count, "shard")}"
                    : $"{own.NodeId} knows no leader of {unknown} of {Count(own.Shards.Count, "shard")}",
            };
        }

        Wire.StatusResponse[] up = [.. all.Nodes.Where(static n => n.Status is not null).Select(static n => n.Status)];
        string[] down = [.. all.Nodes.Where(static n => n.Status is null).Select(static n => n.NodeId)];
        bool majority = up.Length > all.Nodes.Count / 2;
        Wire.ShardStatus[][] shards = [.. up.SelectMany(static n => n.Shards).GroupBy(static s => s.Shard).Select(static g => g.ToArray())];
        int leaderless = majority ? shards.Count(static replicas => replicas.All(static r => r.Role != "leader")) : shards.Length;
        int failed = up.Sum(static n => n.Shards.Count(static s => s.Error.Length > 0));
        List<string> reasons =
        [
            $"{up.Length} of {Count(all.Nodes.Count, "node")} up" + (down.Length > 0 ? $" (not {string.Join(", ", down)})" : ""),
            !majority ? "no majority, so that nothing can be written or read linearizably"
                : leaderless > 0 ? $"{leaderless} of {Count(shards.Length, "shard")} without a leader"
                : "every shard has a leader",
        ];
        if (failed > 0)
        {
            reasons.Add($"{Count(failed, "replica")} in trouble (see --shards)");
        }

        return new ClusterVerdict
        {
            Serves = leaderless == 0,
            Whole = leaderless == 0 && down.Length == 0 && failed == 0,
            Reason = string.Join(", ", reasons),
        };
    }

    private static string Count(int number, string what) =>
        string.Create(CultureInfo.InvariantCulture, $"{number} {what}{(number == 1 ? "" : "s")}");
}
