using Henge.Core;

namespace Henge.Cluster.Planning;

/// <summary>
/// Lets shards go where the plan has them, a bounded number at a time. What has been let go is again a placement, which shards follow; so
/// that two placements in the catalog, and each shard's own configuration, are all the state that moves have. A pure function.
/// </summary>
public static class MoveRelease
{
    /// <summary>The placement that shards shall follow next; the present one when nothing more may begin.</summary>
    /// <param name="followed">What shards follow now.</param>
    /// <param name="goal">Where the plan has them; of as many shards.</param>
    /// <param name="arriving">
    /// Who of a shard's members, as they are followed, does not vote yet; none where only others are still to go. Null when the shard's
    /// replicas are those that are followed.
    /// </param>
    /// <param name="isDeparting">Whether a member is leaving or lost, so that its replicas are urgent.</param>
    /// <param name="limits">How many may be under way.</param>
    /// <remarks>
    /// A shard that is on its way already follows the plan at once, when that changes: nothing is finished that is not wanted any more.
    /// What copies nothing (other leaders, fewer replicas) is let go at once.
    /// </remarks>
    public static TargetPlacement Next(
        TargetPlacement followed,
        TargetPlacement goal,
        Func<ShardId, IReadOnlyCollection<NodeId>?> arriving,
        Func<NodeId, bool> isDeparting,
        MoveLimits limits)
    {
        if (followed.ShardCount != goal.ShardCount)
        {
            throw new HengeException(ErrorCode.InvalidArgument, "Both placements are of the same shards.");
        }

        // Asked several times a second, and most often nothing is to move: that must cost nothing for each shard.
        if (followed.ReplicationFactor == goal.ReplicationFactor && goal.HasSameReplicas(followed))
        {
            return followed;
        }

        Run run = new(followed, goal, limits);
        List<int> waiting = [];
        List<int> urgent = [];
        for (int s = 0; s < goal.ShardCount; s++)
        {
            IReadOnlyCollection<NodeId>? coming = arriving(new ShardId((uint)s));
            if (coming is not null || !run.Copies(s))
            {
                run.Let(s, coming ?? []);
            }
            else if (Any(followed.RowOf(s), isDeparting))
            {
                urgent.Add(s);
            }
            else
            {
                waiting.Add(s);
            }
        }

        urgent.ForEach(run.TryBegin);
        if (!limits.OnlyUrgent)
        {
            waiting.ForEach(run.TryBegin);
        }

        return run.Make();
    }

    private static bool Any(ReadOnlySpan<NodeId> row, Func<NodeId, bool> which)
    {
        foreach (NodeId id in row)
        {
            if (which(id))
            {
                return true;
            }
        }

        return false;
    }

    private sealed class Run(TargetPlacement followed, TargetPlacement goal, MoveLimits limits)
    {
        private readonly bool[] _let = new bool[goal.ShardCount];
        private readonly Dictionary<NodeId, int> _taking = [];
        private readonly Dictionary<NodeId, int> _giving = [];
        private int _moving;

        /// <summary>Whether the goal has replicas that are not followed yet.</summary>
        public bool Copies(int shard)
        {
            foreach (NodeId id in goal.RowOf(shard))
            {
                if (!followed.RowOf(shard).Contains(id))
                {
                    return true;
                }
            }

            return false;
        }

        public void Let(int shard, IReadOnlyCollection<NodeId> coming)
        {
            _let[shard] = true;
            NodeId[] takers = [.. goal.RowOf(shard).ToArray().Where(id => coming.Contains(id) || !followed.RowOf(shard).Contains(id))];
            if (takers.Length > 0)
            {
                _moving++;
                Add(_giving, followed.RowOf(shard)[0]);
                Array.ForEach(takers, id => Add(_taking, id));
            }
        }

        public void TryBegin(int shard)
        {
            if (_moving >= limits.Cluster || _giving.GetValueOrDefault(followed.RowOf(shard)[0]) >= limits.Member)
            {
                return;
            }

            foreach (NodeId id in goal.RowOf(shard))
            {
                if (!followed.RowOf(shard).Contains(id) && _taking.GetValueOrDefault(id) >= limits.Member)
                {
                    return;
                }
            }

            Let(shard, []);
        }

        public TargetPlacement Make()
        {
            List<NodeId> replicas = [];
            var starts = new int[goal.ShardCount + 1];
            for (int s = 0; s < goal.ShardCount; s++)
            {
                foreach (NodeId id in (_let[s] ? goal : followed).RowOf(s))
                {
                    replicas.Add(id);
                }

                starts[s + 1] = replicas.Count;
            }

            TargetPlacement next = new(followed.Generation + 1, goal.ReplicationFactor, [.. replicas], starts);
            return next.HasSameReplicas(followed) && next.ReplicationFactor == followed.ReplicationFactor ? followed : next;
        }

        private static void Add(Dictionary<NodeId, int> counts, NodeId id) => counts[id] = counts.GetValueOrDefault(id) + 1;
    }
}
