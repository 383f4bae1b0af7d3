using System.Text;
using Henge.Node.Hosting;

namespace Henge.Node.Catalog;

/// <summary>
/// What the cluster was made with, as the catalog has it under <c>cluster</c> (docs/formats.md, "Catalog"). A node whose own settings are others has no place in the cluster. Thread-safe.
/// </summary>
internal sealed class ClusterRecord(NodeContext node)
{
    private readonly CatalogEntry _entry = new(node, Encoding.UTF8.GetBytes("cluster"));
    private readonly string _own = node.Identity.Founding.ToText();
    private bool _isEstablished;

    /// <summary>True once the record was read here: a majority of the nodes has made the cluster, with the settings of this node.</summary>
    public bool IsEstablished => Volatile.Read(ref _isEstablished);

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
                _entry.Write(_own);
            }

            return;
        }

        if (text == _own)
        {
            Volatile.Write(ref _isEstablished, true);
            return;
        }

        if (node.Options.Bugs.HasFlag(NodeBugs.HelloNotCompared))
        {
            return;
        }

        string differences = FoundingSettings.Parse(text.Split('\n', StringSplitOptions.RemoveEmptyEntries)) is { } made
            ? string.Join("; ", node.Identity.Founding.DifferencesTo(made))
            : "it cannot be read by this build";
        node.Fatal(
            $"The catalog says that the cluster was made with other settings than this node's data directory has: {differences}. Restore the file {IdentityFile.Name} in '{node.Options.DataDirectory}', or replace the node.",
            null);
    }
}
