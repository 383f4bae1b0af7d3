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
        Survivor? best = Choose(left);
        if (best is null)
        {
            return new ShardLoss { Shard = shard, Kind = LossKind.Gone, Text = $"{shard}: nothing is left of it; all its data is lost." };
        }

        NodeId[] whole = [.. left.Where(static s => !s.IsDamaged).Select(static s => s.Node)];
        NodeId[] lost = [.. best.Voters.Union(best.OutgoingVoters).Except(whole).Order()];
        LossKind kind = left.Any(s => CanBeElected(s, left)) ? LossKind.Serving
            // While a configuration is joint, lost nodes may have gone back to the one before it, or on to the one after it, and then a
            // majority of that one was enough.
            : HasMajority(best.Voters, lost) || (best.OutgoingVoters.Count > 0 && HasMajority(best.OutgoingVoters, lost))
                ? LossKind.MayLose
                : LossKind.Complete;
        Survivor[] ahead = [.. left.Where(s => s.Commit > LogComparison.LastCommon(best, s))];

        // Not for certain up to the last entry: a leader that was cut off may have written that after another one had overtaken it.
        Core.Version certain = left.Where(s => !s.IsDamaged && !ahead.Contains(s)).Max(static s => s.AppliedVersion);
        string kept = $"everything up to version {best.LastVersion} (entry {best.Last}) is on {best.Node}";
        string names = string.Join(", ", lost);
        return new ShardLoss
        {
            Shard = shard,
            Kind = kind,
            Best = best.Node,
            KeptVersion = best.LastVersion,
            CertainVersion = certain,
            Kept = best.Last,
            CertainlyLost = ahead.Length == 0 ? 0 : ahead.Max(s => s.Commit.Value - LogComparison.LastCommon(best, s).Value),
            Lost = lost,
            Ahead = [.. ahead.Select(static s => s.Node)],
            Text = kind switch
            {
                LossKind.Serving => $"{shard}: a majority is left; it needs no recovery.",
                LossKind.Complete => $"{shard}: {kept}; every acknowledged write is among it. Lost: {names}.",
                _ => $"{shard}: {kept}; writes acknowledged after that are lost with {names}.",
            },
        };
    }

    /// <summary>
    /// Who has most. Among those that have whatever anybody who is left knows to be committed, it is who has the longest log of the last
    /// term (Raft paper, section 5.4). Without a majority the last term alone does not say it: an entry of an old term, which a later
    /// leader has committed, may be the last one on a node, while another has one of a term between the two that came to nothing.
    /// </summary>
    private static Survivor? Choose(Survivor[] left)
    {
        Survivor[] whole = [.. left.Where(static s => !s.IsDamaged)];
        Survivor[] known = [.. whole.Where(s => left.All(other => other.Commit <= LogComparison.LastCommon(s, other)))];

        // Nobody has it all when it is on damaged ones only: then who has most of it.
        return known.Length > 0
            ? known.MaxBy(static s => (s.LastTerm, s.Last))
            : whole.MaxBy(s => (
                left.Max(other => Math.Min(other.Commit.Value, LogComparison.LastCommon(s, other).Value)),
                s.LastTerm,
                s.Last));
    }

    // Whether the others that are left would vote for it, by the configuration that it knows: then they come to an agreement by themselves.
    private static bool CanBeElected(Survivor candidate, Survivor[] left)
    {
        NodeId[] votes =
        [
            .. left.Where(s => (s.LastTerm, s.Last).CompareTo((candidate.LastTerm, candidate.Last)) <= 0).Select(static s => s.Node),
        ];
        return candidate.Voters.Count > 0 && HasMajority(candidate.Voters, votes) && HasMajority(candidate.OutgoingVoters, votes);
    }

    // Of no voters, everybody is a majority.
    private static bool HasMajority(IReadOnlyList<NodeId> voters, NodeId[] of) =>
        voters.Count == 0 || voters.Count(of.Contains) > voters.Count / 2;
}
