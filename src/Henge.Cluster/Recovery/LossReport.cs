using Henge.Core;

namespace Henge.Cluster.Recovery;

/// <summary>
/// What can be had from the nodes that are left, and what may be lost, before anything is done. A pure function. It takes a configuration
/// for true that the survivors know: one that was agreed on by lost nodes alone, it cannot know of.
/// </summary>
public static class LossReport
{
    /// <summary>Looks at each shard.</summary>
    /// <param name="shards">All shards there are, also those of which nothing is left.</param>
    /// <param name="survivors">What the nodes have that are left.</param>
    public static IReadOnlyList<ShardLoss> Make(IEnumerable<ShardId> shards, IEnumerable<Survivor> survivors)
    {
        ILookup<ShardId, Survivor> byShard = survivors.ToLookup(static s => s.Shard);
        return [.. shards.Select(shard => Of(shard, [.. byShard[shard].OrderBy(static s => s.Node)]))];
    }

    private static ShardLoss Of(ShardId shard, Survivor[] left)
    {
        // Whoever has the longest log of the last term has all that any of them has that was ever committed (Raft paper, section 5.4).
        Survivor? best = left.Where(static s => !s.IsDamaged).MaxBy(static s => (s.LastTerm, s.Last));
        if (best is null)
        {
            return new ShardLoss { Shard = shard, Kind = LossKind.Gone, Text = $"{shard}: nothing is left of it; all its data is lost." };
        }

        Survivor newest = left.MaxBy(static s => (s.ConfigurationIndex, s.LastTerm))!;
        NodeId[] whole = [.. left.Where(static s => !s.IsDamaged).Select(static s => s.Node)];
        NodeId[] lost = [.. newest.Voters.Union(newest.OutgoingVoters).Except(whole).Order()];
        ulong committed = left.Max(static s => s.Commit.Value);
        NodeId[] answering = [.. left.Select(static s => s.Node)];
        LossKind kind = HasMajority(newest.Voters, answering) && HasMajority(newest.OutgoingVoters, answering) ? LossKind.Serving
            // While a configuration is joint, lost nodes may have gone back to the one before it, or on to the one after it, and then a
            // majority of that one was enough.
            : HasMajority(newest.Voters, lost) || (newest.OutgoingVoters.Count > 0 && HasMajority(newest.OutgoingVoters, lost))
                ? LossKind.MayLose
                : LossKind.Complete;
        string kept = $"everything up to version {best.LastVersion} (entry {best.Last}) is on {best.Node}";
        string names = string.Join(", ", lost);
        return new ShardLoss
        {
            Shard = shard,
            Kind = kind,
            Best = best.Node,
            KeptVersion = best.LastVersion,
            Kept = best.Last,
            CertainlyLost = committed > best.Last.Value ? committed - best.Last.Value : 0,
            Lost = lost,
            Text = kind switch
            {
                LossKind.Serving => $"{shard}: a majority is left; it needs no recovery.",
                LossKind.Complete => $"{shard}: {kept}; every acknowledged write is among it. Lost: {names}.",
                _ => $"{shard}: {kept}; writes acknowledged after that are lost with {names}.",
            },
        };
    }

    // Of no voters, everybody is a majority.
    private static bool HasMajority(IReadOnlyList<NodeId> voters, NodeId[] of) =>
        voters.Count == 0 || voters.Count(of.Contains) > voters.Count / 2;
}
