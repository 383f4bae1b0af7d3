using Henge.Server.Operations;
using Henge.Storage;
using Henge.Thrift.Generated;
using DataType = Henge.Thrift.Generated.DataType;

namespace Henge.Server.Thrift;

/// <summary>Takes the entries of a page as the pairs of the API. One thread at a time.</summary>
internal sealed class ScanCollector(RangeScan scan) : Henge.Node.Api.IScanReceiver
{
    /// <summary>What has come.</summary>
    public List<KeyValue> Pairs { get; } = [];

    /// <inheritdoc/>
    public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs) =>
        Pairs.Add(new KeyValue
        {
            Key = key.ToArray(),
            Value = value.ToArray(),
            Version = (long)version.Value,
            TtlRemainingMs = scan.TtlRemaining(expiresAtMs),
            Type = (DataType)EntryType.Of(kind),
        });
}
