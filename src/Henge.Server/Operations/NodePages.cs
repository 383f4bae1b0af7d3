using Henge.Core;
using Henge.Node.Api;

namespace Henge.Server.Operations;

/// <summary>
/// Pages of scans and of histories, wherever their shards are. Where the node has all of them as they are asked for, they are read at once
/// and nothing is waited for.
/// </summary>
internal static class NodePages
{
    private const int Attempts = 3;

    /// <summary>Reads a page of a range. Throws <see cref="HengeException"/>.</summary>
    public static ValueTask<ScanEnd> ScanAsync(IHengeNode node, in ScanQuery query, IScanReceiver receiver) =>
        ReadAsync(node, PageFetch.OfScan(query), receiver);

    /// <summary>
    /// Reads the newest versions of a key, from one on down; what is newest, for <see cref="Core.Version.Max"/>, is made sure of here.
    /// Throws <see cref="HengeException"/>.
    /// </summary>
    public static ValueTask<ScanEnd> HistoryAsync(
        IHengeNode node,
        ReadOnlyMemory<byte> key,
        Core.Version newest,
        int limit,
        IScanReceiver receiver,
        bool isStale = false) =>
        ReadAsync(node, PageFetch.OfHistory(key, newest, limit, node.Limits.ScanPageBytes, isStale), receiver);

    /// <summary>Fetches what other nodes have of a page. Throws <see cref="HengeException"/>.</summary>
    /// <param name="node">The node.</param>
    /// <param name="page">The page.</param>
    /// <param name="deadlineMs">Until when, on the node's monotonic clock; 0: the node's default.</param>
    public static async ValueTask FetchAsync(IHengeNode node, PageFetch page, long deadlineMs = 0)
    {
        AwaitedOperation fetch = new() { Kind = OperationKind.Page, Page = page, DeadlineMs = deadlineMs };
        await fetch.RunAsync(node);
    }

    private static async ValueTask<ScanEnd> ReadAsync(IHengeNode node, PageFetch page, IScanReceiver receiver)
    {
        for (int attempt = 1; ; attempt++)
        {
            if (page.IsNewest || !node.HasAllShardsAt(page.Required))
            {
                await FetchAsync(node, page);
            }

            try
            {
                return node.ReadPage(page, receiver);
            }
            catch (HengeException e) when (e.Code == ErrorCode.Unavailable && attempt < Attempts)
            {
                // A shard left this node between the two; nothing has been given to the receiver.
                page = page.Again();
            }
        }
    }
}
