using Henge.Core;

namespace Henge.Node.Peers;

/// <summary>Takes the records about pages of scans. Thread-safe.</summary>
internal interface IPageRecords
{
    /// <summary>A record has come. The body is valid during the call only.</summary>
    void OnRecord(NodeId from, PeerRecordKind kind, ReadOnlySpan<byte> body);
}
