using Henge.Core;
using Henge.Node.Context;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>Translates a node's settings into those of its groups.</summary>
internal static class RaftSettings
{
    /// <summary>
    /// The settings of a node's group, in which it has a place among its <paramref name="replicas"/>, of which the first is the preferred
    /// leader. Those behind it stand for election one after the other, and the first last, since it is mostly the one that is gone: two
    /// that stand at once would split the votes, and the shard would wait for another timeout (decision 0112).
    /// </summary>
    public static RaftOptions Of(NodeContext node, IReadOnlyList<NodeId> replicas, int maxEntryBytes)
    {
        NodeOptions options = node.Options;
        int place = 0;
        while (place < replicas.Count && replicas[place] != node.Self)
        {
            place++;
        }

        int turn = (place + replicas.Count - 1) % Math.Max(1, replicas.Count);
        return new RaftOptions
        {
            Self = node.Self,
            ElectionTimeoutMinTicks = options.ElectionTicks,
            ElectionTimeoutMaxTicks = options.ElectionTicks + Math.Max(1, options.ElectionTicks / 2),
            ElectionDelayTicks = turn * options.ElectionTicks * 2 / 5,
            HeartbeatTicks = options.HeartbeatTicks,
            AlignHeartbeats = true,
            EntryLimitBytes = Math.Min(RaftMessageCodec.MaxEntryBytes, maxEntryBytes),
            AppendLimitBytes = options.PeerFrameBytes / 2,
            RecentEntriesLimitBytes = Math.Max(64 * 1024, options.LogCacheBytes / node.Identity.Shards),
            // An id stands for a data directory here, and one that is empty or another is refused (Incarnations): who comes back has all
            // that it promised.
            RemovedIdsMayReturn = true,
            SharedHeartbeats = options.Reads != Api.ReadConsistency.Lease,
            LeaseReads = options.Reads == Api.ReadConsistency.Lease,
            Bugs = options.RaftBugs,
        };
    }
}
