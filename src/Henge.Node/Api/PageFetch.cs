using Henge.Core;

namespace Henge.Node.Api;

/// <summary>
/// A page of a scan, or of the history of one key, of which a part may lie on other nodes: an operation of kind
/// <see cref="OperationKind.Page"/> fetches that part, then <see cref="IHengeNode.ReadPage"/> reads the whole. Used once.
/// </summary>
public sealed class PageFetch
{
    private PageFetch(in ScanQuery query, bool isHistory, bool isStale)
    {
        Query = query;
        IsHistory = isHistory;
        IsStale = isStale;
    }

    /// <summary>What is read. For a history: from the version on down, the one key that is its lower bound.</summary>
    public ScanQuery Query { get; }

    /// <summary>True for the versions of one key, newest first, tombstones included.</summary>
    public bool IsHistory { get; }

    /// <summary>True when each shard may be read as it is at whoever is asked.</summary>
    public bool IsStale { get; }

    /// <summary>
    /// To which version a shard must have come to be read for this page; zero: however far it is. The newest of a history has one when it
    /// was fetched.
    /// </summary>
    public Core.Version Required =>
        IsStale ? default
        : IsNewest ? Seen
        : Query.Version;

    /// <summary>True for the newest versions of a key, whatever they are: what they are is found out by a barrier of its own.</summary>
    public bool IsNewest => IsHistory && Query.Version == Core.Version.Max;

    /// <summary>To which version the shard of <see cref="IsNewest"/> had come when it was asked.</summary>
    internal Core.Version Seen { get; set; }

    /// <summary>What was fetched.</summary>
    internal List<RemotePage> Pages { get; } = [];

    /// <summary>A page of a scan, as of a version that a barrier gave.</summary>
    /// <param name="query">The page.</param>
    /// <param name="isStale">Whether the barrier was content with what is stale.</param>
    public static PageFetch OfScan(in ScanQuery query, bool isStale = false) => new(query, isHistory: false, isStale);

    /// <summary>
    /// The newest versions of a key, from one on down. The newest of all, <see cref="Core.Version.Max"/>, sees everything that was
    /// acknowledged before.
    /// </summary>
    /// <param name="key">The key.</param>
    /// <param name="newest">The version.</param>
    /// <param name="limitItems">Most versions; at least 1.</param>
    /// <param name="limitBytes">Most bytes of keys and values that are fetched; one version is always let in.</param>
    /// <param name="isStale">Whether the barrier was content with what is stale.</param>
    public static PageFetch OfHistory(
        ReadOnlyMemory<byte> key,
        Core.Version newest,
        int limitItems,
        int limitBytes,
        bool isStale = false) =>
        new(
            new ScanQuery { Version = newest, Lower = key, LimitItems = limitItems, LimitBytes = limitBytes },
            isHistory: true,
            isStale);

    /// <summary>The same page, of which nothing was fetched.</summary>
    public PageFetch Again() => new(Query, IsHistory, IsStale);

    /// <summary>True when a shard's part was fetched.</summary>
    internal bool Has(ShardId shard)
    {
        foreach (RemotePage page in Pages)
        {
            if (page.Shards.Contains(shard))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// The query up to where all that was fetched reaches, and whether that is less than all: a page that has more behind it says nothing
    /// of what comes after its last key.
    /// </summary>
    internal ScanQuery Bounded(out bool isCut)
    {
        ScanQuery query = Query;
        isCut = false;
        foreach (RemotePage page in Pages)
        {
            if (!page.HasMore)
            {
                continue;
            }

            if (query.Reverse && page.NextKey.Span.SequenceCompareTo(query.Lower.Span) > 0)
            {
                query = query with { Lower = page.NextKey };
                isCut = true;
            }
            else if (
                !query.Reverse && (query.Upper.IsEmpty || page.NextKey.Span.SequenceCompareTo(query.Upper.Span) < 0))
            {
                query = query with { Upper = page.NextKey };
                isCut = true;
            }
        }

        return query;
    }
}
