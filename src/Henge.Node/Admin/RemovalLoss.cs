using Henge.Core;
using Henge.Node.Context;

namespace Henge.Node.Admin;

/// <summary>What is lost when a member that does not answer never comes back. Pure functions.</summary>
internal static class RemovalLoss
{
    private const int MostShards = 8;

    /// <summary>A sentence for each kind of loss; none when others have everything and a majority.</summary>
    /// <param name="places">Where shards are, as far as is known.</param>
    /// <param name="going">The member.</param>
    /// <param name="name">Its name.</param>
    /// <param name="unreachable">Who does not answer.</param>
    public static IReadOnlyList<string> Of(
        IEnumerable<ShardPlace> places,
        NodeId going,
        string name,
        IReadOnlyCollection<NodeId> unreachable)
    {
        List<ShardId> gone = [], stuck = [];
        foreach (ShardPlace place in places.Where(p => p.Voters.Contains(going)))
        {
            int left = place.Voters.Count(id => id != going && !unreachable.Contains(id));
            if (left == 0)
            {
                gone.Add(place.Shard);
            }
            else if (left <= place.Voters.Count / 2)
            {
                stuck.Add(place.Shard);
            }
        }

        List<string> losses = [];
        if (gone.Count > 0)
        {
            losses.Add($"No other replica of {Names(gone)} answers: what {name} has of {Them(gone)} is lost with it.");
        }

        if (stuck.Count > 0)
        {
            losses.Add(
                $"Without {name}, no majority of the replicas of {Names(stuck)} answers: {(stuck.Count == 1 ? "it takes" : "they take")} "
                    + "no writes until the others are back or the cluster is recovered.");
        }

        return losses;
    }

    private static string Names(List<ShardId> shards) =>
        (shards.Count == 1 ? "shard " : "shards ") + string.Join(", ", shards.Take(MostShards).Select(static s => s.Value))
            + (shards.Count > MostShards ? $" and {shards.Count - MostShards} more" : "");

    private static string Them(List<ShardId> shards) => shards.Count == 1 ? "it" : "them";
}
