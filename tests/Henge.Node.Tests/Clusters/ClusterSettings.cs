using System.Buffers;
using System.Globalization;
using System.Text;
using Henge.Node.Catalog;
using Henge.Node.Opening;
using Henge.Node.StateMachine;

namespace Henge.Node.Tests.Clusters;

/// <summary>Settings that stand in the catalog.</summary>
internal static class ClusterSettings
{
    /// <summary>Puts settings of the cluster into the catalog.</summary>
    public static void Set(ClusterHarness cluster, params (string Name, long Value)[] settings)
    {
        var txn = new TxnBuilder();
        foreach ((string name, long value) in settings)
        {
            var command = new ArrayBufferWriter<byte>();
            CommandEncoder.Put(
                command,
                Encoding.UTF8.GetBytes(CatalogKeys.Setting + name),
                Encoding.UTF8.GetBytes(value.ToString(CultureInfo.InvariantCulture)),
                new PutOptions());
            txn.Then.Add(command.WrittenSpan);
        }

        bool done = false, written = false;
        NodeParts parts = cluster.Running.First().Running.Parts;
        parts.Members.Changes.Add(
            _ =>
            {
                CatalogStep step = written ? CatalogStep.Done : CatalogStep.Write(txn);
                written = true;
                return step;
            },
            parts.Context.MonotonicMs + 10_000,
            _ => done = true);
        cluster.RunUntil(() => done, 12_000, "the settings are written");
    }
}
