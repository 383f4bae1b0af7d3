using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Henge.Node.Context;

namespace Henge.Node.Catalog;

/// <summary>
/// What the cluster was made with, as the catalog has it under <c>cluster</c> (docs/formats.md, "Catalog"). A node whose own settings are
/// others has no place in the cluster. Thread-safe.
/// </summary>
internal sealed class ClusterRecord(NodeContext node, ICatalogShard catalog) : IClusterRecord
{
    private const int IdLength = 32;
    private readonly CatalogEntry _entry = new(node, catalog, Encoding.UTF8.GetBytes("cluster"));
    private readonly string _ownSettings = node.Identity.Founding.ToText();
    private string _id = node.Identity.Joined?.ClusterId ?? "";

    /// <summary>True once the record was read here: a majority of the nodes has made the cluster, with the settings of this node.</summary>
    public bool IsEstablished => Id.Length > 0;

    /// <summary>
    /// The cluster's id: 32 hexadecimal digits, made from the incarnation of the node that wrote the record, so that no other cluster has
    /// it, even one of equal settings. Empty until it is known.
    /// </summary>
    public string Id => Volatile.Read(ref _id);

    /// <summary>Looks for the record, and writes it when it is not there. Called now and then.</summary>
    public void Refresh(bool mayWrite = true)
    {
        if (IsEstablished)
        {
            return;
        }

        if (!_entry.TryRead(out string text))
        {
            if (mayWrite)
            {
                // The replication factor may be above the number of nodes that there are yet; from here on it is the catalog's to say.
                int factor = node.Options.ReplicationFactor;
                _entry.Write(
                    _ownSettings + "id " + MakeId() + "\n",
                    (Encoding.UTF8.GetBytes(CatalogKeys.Setting + CatalogKeys.ReplicationFactor),
                        (factor == 0 ? NodeOptions.DefaultReplicationFactor : factor).ToString(CultureInfo.InvariantCulture)));
            }

            return;
        }

        if (text.Length == _ownSettings.Length + "id \n".Length + IdLength && text.StartsWith(_ownSettings, StringComparison.Ordinal))
        {
            Volatile.Write(ref _id, text.Substring(_ownSettings.Length + "id ".Length, IdLength));
            node.Events?.ClusterIdKnown(_id);
            return;
        }

        if (node.Options.Bugs.DoesNotCompareHellos)
        {
            return;
        }

        string differences = FoundingSettings.Parse(text.Split('\n', StringSplitOptions.RemoveEmptyEntries)) is { } made
            ? string.Join("; ", node.Identity.Founding.DifferencesTo(made))
            : "it cannot be read by this build";
        node.Fatal(
            $"The catalog says that the cluster was made with other settings than this node's data directory has: {differences}. Restore "
                + $"the file {IdentityFile.Name} in '{node.Options.DataDirectory}', or replace the node.",
            null);
    }

    private string MakeId() =>
        Convert.ToHexStringLower(
            SHA256
                .HashData(
                    Encoding.UTF8.GetBytes(
                        string.Create(CultureInfo.InvariantCulture, $"henge cluster 2\n{node.Identity.Incarnation:x16}\n") + _ownSettings))
                .AsSpan(0, IdLength / 2));
}
