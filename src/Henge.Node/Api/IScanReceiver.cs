using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>Takes what a scan finds. Spans are valid during the call only.</summary>
public interface IScanReceiver
{
    /// <summary>
    /// One entry. <paramref name="expiresAtMs"/> is in milliseconds since the epoch of versions, 0 for never. A kind of PutTyped says that
    /// the value is a hash.
    /// </summary>
    void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs);
}
