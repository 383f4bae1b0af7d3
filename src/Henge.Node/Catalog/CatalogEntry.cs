using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Storage;

namespace Henge.Node.Catalog;

/// <summary>
/// An entry of the catalog that is written once, by the first node that finds it missing, and never changed. Thread-safe.
/// </summary>
internal sealed class CatalogEntry(NodeContext node, ICatalogShard catalog, byte[] key)
{
    private int _writing;

    /// <summary>
    /// Reads what this node has applied; false when there is none yet, or it is damaged (then it comes back with the catalog's state).
    /// </summary>
    public bool TryRead(out string text)
    {
        try
        {
            return TryReadState(out text);
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            text = "";
            catalog.ReportDamage(e);
            return false;
        }
    }

    private bool TryReadState(out string text)
    {
        text = "";
        if (!node.Engine.TryGet(SystemKeys.UserKeyspace(ShardId.Catalog), key, new ReadPoint(Core.Version.Max, 0), out PinnedValue value))
        {
            return false;
        }

        using (value)
        {
            text = System.Text.Encoding.UTF8.GetString(value.Span);
            return true;
        }
    }

    /// <summary>
    /// Asks the catalog's leader to write it, and others with it, on the condition that it is not there. Whatever comes of it shows in the
    /// catalog; one try at a time.
    /// </summary>
    public void Write(string text, params ReadOnlySpan<(byte[] Key, string Text)> others)
    {
        if (Interlocked.Exchange(ref _writing, 1) != 0)
        {
            return;
        }

        var writer = new System.Buffers.ArrayBufferWriter<byte>();
        var txn = new TxnBuilder();
        txn.CompareExistence(key, exists: false);
        Put(key, text);
        foreach ((byte[] other, string its) in others)
        {
            Put(other, its);
        }

        txn.Encode(writer);
        var write = new WriteOperation(this)
        {
            Kind = OperationKind.Write,
            Key = key,
            Command = writer.WrittenMemory,
            Shard = ShardId.Catalog,
            DeadlineMs = node.MonotonicMs + node.Options.DefaultDeadlineMs,
        };
        node.Admit(1);
        catalog.Submit(write);

        void Put(byte[] at, string value)
        {
            var put = new System.Buffers.ArrayBufferWriter<byte>();
            CommandEncoder.Put(put, at, System.Text.Encoding.UTF8.GetBytes(value), new PutOptions());
            txn.Then.Add(put.WrittenSpan);
        }
    }

    private sealed class WriteOperation(CatalogEntry owner) : Operation
    {
        protected override void OnCompleted() => Interlocked.Exchange(ref owner._writing, 0);
    }
}
