using System.Globalization;

namespace Henge.Bench.Load;

/// <summary>Where a shard is.</summary>
/// <param name="Leader">Its leader's name; empty while it has none.</param>
/// <param name="Term">The leader's term.</param>
/// <param name="Replicas">Names of the nodes that have it.</param>
/// <param name="ReplicasGeneration">How new the list of replicas is.</param>
public sealed record ShardView(
    string Leader,
    ulong Term,
    IReadOnlyList<string> Replicas,
    (ulong Term, ulong Index) ReplicasGeneration);

/// <summary>A cluster at a moment, as far as a load generator cares.</summary>
public sealed record ClusterView
{
    /// <summary>Names of its nodes.</summary>
    public required IReadOnlyList<string> Nodes { get; init; }

    /// <summary>How new the list of nodes is.</summary>
    public ulong NodesGeneration { get; init; }

    /// <summary>Its shards.</summary>
    public required IReadOnlyList<ShardView> Shards { get; init; }

    /// <summary>What is known when another node has told this: of each part the newer, since nodes may be behind each other.</summary>
    public ClusterView With(ClusterView told) => told.Shards.Count != Shards.Count ? told : new ClusterView
    {
        Nodes = told.NodesGeneration >= NodesGeneration ? told.Nodes : Nodes,
        NodesGeneration = Math.Max(told.NodesGeneration, NodesGeneration),
        Shards = [.. Shards.Zip(told.Shards, Newer)],
    };

    /// <summary>What is different in a later view, in words; nothing when all is as it was.</summary>
    public IEnumerable<string> ChangesTo(ClusterView later)
    {
        foreach (string node in later.Nodes.Except(Nodes))
        {
            yield return node + " joined";
        }

        foreach (string node in Nodes.Except(later.Nodes))
        {
            yield return node + " left";
        }

        (ShardView Was, ShardView Is)[] shards = [.. Shards.Zip(later.Shards)];
        int led = shards.Count(static s => s.Is.Leader.Length > 0 && s.Is.Leader != s.Was.Leader);
        int leaderless = shards.Count(static s => s.Is.Leader.Length == 0 && s.Was.Leader.Length > 0);
        int moved = shards.Count(static s => !s.Was.Replicas.ToHashSet().SetEquals(s.Is.Replicas));
        if (led > 0)
        {
            yield return Count(led, "another leader");
        }

        if (leaderless > 0)
        {
            yield return Count(leaderless, "no leader");
        }

        if (moved > 0)
        {
            yield return Count(moved, "other replicas");
        }
    }

    private static ShardView Newer(ShardView known, ShardView told)
    {
        ShardView leading = told.Term > known.Term || (told.Term == known.Term && told.Leader.Length > 0) ? told : known;
        ShardView placed = told.ReplicasGeneration.CompareTo(known.ReplicasGeneration) >= 0 ? told : known;
        return new ShardView(leading.Leader, leading.Term, placed.Replicas, placed.ReplicasGeneration);
    }

    private static string Count(int shards, string what) =>
        string.Create(CultureInfo.InvariantCulture, $"{shards} {(shards == 1 ? "shard has" : "shards have")} {what}");
}

/// <summary>What changed in the cluster during a run.</summary>
/// <param name="Seconds">When, from the beginning of what is measured.</param>
/// <param name="Text">What.</param>
public readonly record struct ClusterChange(double Seconds, string Text);
