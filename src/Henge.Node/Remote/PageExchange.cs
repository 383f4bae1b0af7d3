using Henge.Core;
using Henge.Node.Peers;

namespace Henge.Node.Remote;

/// <summary>Pages that this node asks for, and those that it is asked for. Thread-safe.</summary>
internal sealed class PageExchange(PageFetcher fetcher, PageServer server) : IPageRecords
{
    /// <inheritdoc/>
    public void OnRecord(NodeId from, PeerRecordKind kind, ReadOnlySpan<byte> body)
    {
        if (kind == PeerRecordKind.PageRequest)
        {
            server.OnRequest(from, body);
        }
        else
        {
            fetcher.OnReply(from, body);
        }
    }
}
