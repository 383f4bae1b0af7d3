using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.Messages;
using Henge.Server.Operations;
using Henge.Storage;
using Wire = Henge.Protocol.V1;

namespace Henge.Server.Kv;

/// <summary>
/// Encodes the pages of a scan as ScanResponses, in one buffer that is used for all pages: a scan of any length costs a page of memory.
/// One thread at a time.
/// </summary>
internal sealed class ScanPages(RangeScan scan, bool countOnly) : IScanReceiver, IDisposable
{
    private readonly OperationBuffer _page = new();

    /// <summary>What it reads.</summary>
    public RangeScan Scan => scan;

    /// <summary>The encoded response of the last page.</summary>
    public ReadOnlyMemory<byte> Page => _page.Memory;

    /// <summary>True when the last page was the last one.</summary>
    public bool Ended => scan.Ended;

    /// <summary>Lets go of the page's memory.</summary>
    public void Dispose() => _page.Clear();

    /// <summary>The scan that a request asks for. Throws <see cref="HengeException"/> (InvalidArgument, TooLarge, HistoryGone).</summary>
    public static ScanPages Create(Wire.ScanRequest request, IHengeNode node)
    {
        ScanTerms terms = new()
        {
            Prefix = request.Prefix.Memory,
            Start = request.StartKey.Memory,
            End = request.EndKey.Memory,
            Limit = request.Limit,
            Reverse = request.Reverse,
            KeysOnly = request.KeysOnly,
            Version = KvValidation.ReadVersion(request.Version, request.AtUnixMs, node),
            Consistency = KvValidation.Consistency((ulong)request.Consistency),
            Continuation = request.Continuation.Memory,
        };
        return new ScanPages(RangeScan.Create(node, terms), request.CountOnly);
    }

    /// <summary>Reads the next page into <see cref="Page"/>, or counts all there is. Throws <see cref="HengeException"/>.</summary>
    /// <param name="cancellation">Ends the counting.</param>
    public ValueTask ReadAsync(CancellationToken cancellation)
    {
        return countOnly ? CountAsync(cancellation) : ReadAsync();
    }

    void IScanReceiver.OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs)
    {
        KeyValueFields pair = new()
        {
            Key = key,
            Value = value,
            Version = version.Value,
            TtlRemainingMs = scan.TtlRemaining(expiresAtMs),
            Type = (Wire.DataType)EntryType.Of(kind),
        };
        FieldWriter writer = new(_page.GetSpan(ScanPageFields.SizeOfPair(pair)));
        ScanPageFields.WritePair(ref writer, pair);
        _page.Advance(writer.Position);
    }

    private async ValueTask ReadAsync()
    {
        await scan.PrepareAsync();
        _page.Truncate(0);
        scan.ReadPage(this);
        Finish(count: 0);
    }

    private async ValueTask CountAsync(CancellationToken cancellation)
    {
        ulong count = await scan.CountAsync(cancellation);
        _page.Truncate(0);
        Finish(count);
    }

    private void Finish(ulong count)
    {
        ScanPageFields end = new()
        {
            Continuation = scan.Continuation().Span,
            Version = scan.Version.Value,
            Count = count,
        };
        FieldWriter writer = new(_page.GetSpan(end.Size));
        end.Write(ref writer);
        _page.Advance(writer.Position);
    }
}
