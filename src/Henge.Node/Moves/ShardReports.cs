using Henge.Core;

namespace Henge.Node.Moves;

/// <summary>The latest report of each shard that has come to this node. Thread-safe.</summary>
internal sealed class ShardReports(int shards)
{
    private readonly ShardReport?[] _latest = new ShardReport?[shards];

    /// <summary>The latest of a shard; null when there was none.</summary>
    public ShardReport? Of(ShardId shard) => shard.Value < (uint)_latest.Length ? Volatile.Read(ref _latest[shard.Value]) : null;

    /// <summary>Takes one in, unless it is of an earlier term, or of an earlier placement, than what is here.</summary>
    public void Take(ShardReport report)
    {
        if (report.Shard.Value >= (uint)_latest.Length)
        {
            return;
        }

        ref ShardReport? place = ref _latest[report.Shard.Value];
        while (Volatile.Read(ref place) is var known)
        {
            if (known is not null && (known.Term, known.Generation).CompareTo((report.Term, report.Generation)) > 0)
            {
                return;
            }

            if (ReferenceEquals(Interlocked.CompareExchange(ref place, report, known), known))
            {
                return;
            }
        }
    }
}
