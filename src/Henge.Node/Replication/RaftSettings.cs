using Henge.Node.Hosting;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>Translates a node's settings into those of its groups.</summary>
internal static class RaftSettings
{
    /// <summary>The settings of every group of a node.</summary>
    public static RaftOptions Of(NodeContext node)
    {
        NodeOptions options = node.Options;
        return new RaftOptions
        {
            Self = node.Self,
            ElectionTimeoutMinTicks = options.ElectionTicks,
            ElectionTimeoutMaxTicks = 2 * options.ElectionTicks,
            HeartbeatTicks = options.HeartbeatTicks,
            EntryLimitBytes = Math.Min(RaftMessageCodec.MaxEntryBytes, node.Log.MaxEntryBytes),
            AppendLimitBytes = options.PeerFrameBytes / 2,
            RecentEntriesLimitBytes = Math.Max(64 * 1024, options.LogCacheBytes / node.Identity.Shards),
            // An id stands for a data directory here, and one that is empty or another is refused (Incarnations): who comes back has all that it promised.
            RemovedIdsMayReturn = true,
            LeaseReads = options.Reads == Api.ReadConsistency.Lease,
            Bugs = options.RaftBugs,
        };
    }
}
