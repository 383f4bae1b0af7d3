using System.Globalization;
using Henge.Client;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Output;

/// <summary>What can be said of a cluster that changes, from where its replicas are and are to be.</summary>
internal static class ClusterView
{
    /// <summary>Where replicas are to be; null when the node is of a release that does not say.</summary>
    public static async Task<Wire.PlacementResponse?> TryReadAsync(HengeClient client, CancellationToken cancellationToken)
    {
        try
        {
            return await client.PlacementAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (UnsupportedFormatException)
        {
            return null;
        }
    }

    /// <summary>How many shards a node has replicas of, those included that are being made.</summary>
    public static int CarriedBy(Wire.PlacementResponse placement, string node) =>
        placement.Shards.Count(s => s.Voters.Contains(node) || s.Learners.Contains(node));

    /// <summary>Shards that are not where the plan has them.</summary>
    public static IReadOnlyList<Wire.ShardTarget> OnTheirWay(Wire.PlacementResponse placement) =>
        [.. placement.Shards.Where(static s => s.Learners.Count > 0 || !s.Voters.ToHashSet().SetEquals(s.Planned))];

    /// <summary>Shards that are to move and have not begun: they wait for others.</summary>
    public static IReadOnlyList<Wire.ShardTarget> Waiting(Wire.PlacementResponse placement) =>
        [.. placement.Shards.Where(static s => !s.Followed.ToHashSet().SetEquals(s.Planned))];

    /// <summary>How far a member is that is leaving.</summary>
    public static string DescribeLeaving(Wire.PlacementResponse placement, string node)
    {
        int carried = CarriedBy(placement, node);
        if (carried == 0)
        {
            return placement.CatalogVoters.Contains(node)
                ? "it has no replicas any more, and hands its vote in the catalog over."
                : "it has no replicas any more.";
        }

        int moving = placement.Moves.Count(m => ShardOf(placement, m.Shard) is { } s && Has(s, node) && !s.Followed.Contains(node));
        int kept = placement.Shards.Count(s => Has(s, node) && s.Planned.Contains(node));
        List<string> parts = [$"{Count(carried, "replica")} left, {moving} on the way"];
        if (kept > 0)
        {
            parts.Add($"{kept} without another place (henge cluster moves says why)");
        }

        int stuck = placement.Moves.Count(m => m.Stuck && ShardOf(placement, m.Shard) is { } s && Has(s, node));
        if (stuck > 0)
        {
            parts.Add($"{stuck} stuck");
        }

        return string.Join(", ", parts) + ".";
    }

    /// <summary>What a move waits for, for people.</summary>
    public static string DescribeWait(Wire.ShardMove move, IReadOnlyCollection<string> unreachable)
    {
        string nodes = string.Join(", ", move.WaitsFor);
        string[] silent = [.. move.WaitsFor.Where(unreachable.Contains)];
        string what = move.Wait switch
        {
            "CatchingUp" when silent.Length > 0 => $"{string.Join(", ", silent)}, which does not answer",
            "CatchingUp" => $"{nodes} to catch up",
            "TargetIsDown" => $"{nodes}, which is down",
            "WouldWeaken" => $"{nodes} to be whole and in touch: fewer replicas would be left than the shard needs",
            "ChangeUnderWay" => "the change before it",
            "" => move.Step switch
            {
                "AddLearners" => "nothing: a replica begins",
                "RemoveLearners" => "nothing: a replica is given up",
                "ChangeVoters" => "nothing: its voters change",
                "TransferLeader" => "nothing: another node takes the lead",
                _ => "nothing",
            },
            _ => move.Wait + (nodes.Length > 0 ? $" ({nodes})" : ""),
        };
        return move.Stuck ? $"{what}; STUCK for {TextForm.OfDuration(TimeSpan.FromMilliseconds(move.StalledMs))}" : what;
    }

    /// <summary>A shard of a number.</summary>
    public static Wire.ShardTarget? ShardOf(Wire.PlacementResponse placement, uint shard) =>
        placement.Shards.FirstOrDefault(s => s.Shard == shard);

    /// <summary>A number with what it counts.</summary>
    public static string Count(int number, string what) =>
        string.Create(CultureInfo.InvariantCulture, $"{number} {what}{(number == 1 ? "" : "s")}");

    private static bool Has(Wire.ShardTarget shard, string node) => shard.Voters.Contains(node) || shard.Learners.Contains(node);
}
