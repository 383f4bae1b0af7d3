using Google.Protobuf;
using Henge.Node.Api;
using Henge.Protocol.V1;
using Henge.Server.Operations;
using Henge.Storage;

namespace Henge.Server.Kv;

/// <summary>Collects the versions of one key into a response, within a byte budget. One thread at a time.</summary>
internal sealed class HistoryReader(int limitItems, int limitBytes) : IScanReceiver
{
    private long _bytes;
    private bool _full;

    public HistoryResponse Response { get; } = new();

    public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs)
    {
        // One is always let in, so that a history of large values can be read at all.
        _full |= Response.Entries.Count >= limitItems || (_bytes > 0 && _bytes + value.Length > limitBytes);
        if (_full)
        {
            Response.More = true;
            return;
        }

        _bytes += value.Length + 32;
        Response.Entries.Add(new HistoryResponse.Types.Entry
        {
            Version = version.Value,
            Value = ByteString.CopyFrom(value),
            Type = (Protocol.V1.DataType)EntryType.Of(kind),
            Deleted = kind == EntryKind.Delete,
            ExpiresUnixMs = expiresAtMs == 0 ? 0 : expiresAtMs + Core.Version.EpochUnixMs,
        });
    }
}
