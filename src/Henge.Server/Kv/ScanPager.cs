using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.Messages;
using Henge.Server.Operations;
using Henge.Storage;
using Wire = Henge.Protocol.V1;

namespace Henge.Server.Kv;

/// <summary>
/// Reads pages of a scan straight into encoded ScanResponses, in one buffer that is used for all pages: a scan of any length costs a page
/// of memory. One thread at a time.
/// </summary>
internal sealed class ScanPager(IHengeNode node, ScanPlan plan) : IScanReceiver, IDisposable
{
    /// <summary>The encoded response of the last page.</summary>
    public OperationBuffer Page { get; } = new();

    /// <summary>True when there is nothing behind the last page, or the request's limit is reached.</summary>
    public bool Ended { get; private set; }

    /// <summary>Lets go of the page's memory.</summary>
    public void Dispose() => Page.Clear();

    /// <summary>
    /// The operation that makes sure of the read; run it before the first page, and give its version to <see cref="Begin"/>.
    /// </summary>
    public void LoadBarrier(Operation operation)
    {
        operation.Kind = OperationKind.Barrier;
        operation.AllShards = true;
        operation.Consistency = plan.Consistency;
        operation.ReadVersion = plan.Version;
    }

    /// <summary>The barrier has been passed.</summary>
    public void Begin(Core.Version readVersion)
    {
        if (plan.Version.IsZero)
        {
            plan.Version = readVersion;
        }
    }

    /// <summary>Reads the next page into <see cref="Page"/>. Throws <see cref="HengeException"/>.</summary>
    public void ReadPage()
    {
        Page.Truncate(0);
        ScanEnd end = node.Scan(plan.NextPage(node.Limits), this);
        plan.Advance(end);
        Ended = !end.More || plan.Remaining == 0;
        Finish(end.More, count: 0);
    }

    /// <summary>Counts all there is, page by page, giving the thread back between pages.</summary>
    public async ValueTask CountAsync(CancellationToken cancellation)
    {
        ulong count = 0;
        while (true)
        {
            Page.Truncate(0);
            ScanEnd end = node.Scan(plan.NextPage(node.Limits), CountingReceiver.Instance);
            plan.Advance(end);
            count += (ulong)end.Items;
            if (!end.More || plan.Remaining == 0)
            {
                Ended = true;
                Finish(end.More, count);
                return;
            }

            cancellation.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    void IScanReceiver.OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs)
    {
        KeyValueFields pair = new()
        {
            Key = key,
            Value = value,
            Version = version.Value,
            TtlRemainingMs = KvOperation.TtlRemaining(expiresAtMs, plan.Version, node),
            Type = kind == EntryKind.PutTyped ? Wire.DataType.Hash : Wire.DataType.Bytes,
        };
        FieldWriter writer = new(Page.GetSpan(ScanPageFields.SizeOfPair(pair)));
        ScanPageFields.WritePair(ref writer, pair);
        Page.Advance(writer.Position);
    }

    private void Finish(bool more, ulong count)
    {
        ScanPageFields end = new()
        {
            Continuation = more ? plan.Continuation().Span : default,
            Version = plan.Version.Value,
            Count = count,
        };
        FieldWriter writer = new(Page.GetSpan(end.Size));
        end.Write(ref writer);
        Page.Advance(writer.Position);
    }

    private sealed class CountingReceiver : IScanReceiver
    {
        public static CountingReceiver Instance { get; } = new();

        public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs)
        {
        }
    }
}
