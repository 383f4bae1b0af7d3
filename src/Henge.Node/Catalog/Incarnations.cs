using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Context;

namespace Henge.Node.Catalog;

/// <summary>
/// Which data directory each member runs with, as the catalog has it. A member of whom the cluster was made writes itself in when it first
/// starts, once and for all; one that joins is written in by whoever takes it in. One that comes back with another directory has lost what
/// it promised (votes, acknowledged entries), and the others do not listen to it. Thread-safe.
/// </summary>
internal sealed class Incarnations(NodeContext node, ICatalogShard catalog) : IIncarnations
{
    private readonly MemberMap<ulong> _known = new();
    private readonly CatalogEntry[] _founders =
    [
        .. node.Identity.Founding.Members.Select(m =>
            new CatalogEntry(node, catalog, Encoding.UTF8.GetBytes(CatalogKeys.Founder + m.Name))),
    ];

    /// <summary>The incarnation of a member; 0 while it is not known.</summary>
    public ulong Of(NodeId id) => id.Value <= MemberTable.MostIds ? Volatile.Read(ref _known[id]) : 0;

    /// <summary>
    /// Reads what the catalog has by now of those that the cluster was made of, and writes this node in when it is one of them and is not
    /// there. Called now and then.
    /// </summary>
    public void Refresh(bool mayRegister = true)
    {
        for (int i = 0; i < _founders.Length; i++)
        {
            var id = new NodeId((ulong)i + 1);
            if (Of(id) == 0 && TryRead(_founders[i], out ulong incarnation))
            {
                Learn(id, incarnation);
            }
        }

        if (Of(node.Self) == 0 && mayRegister && node.Identity.Joined is null)
        {
            _founders[node.Self.Value - 1].Write(node.Identity.Incarnation.ToString("x16", CultureInfo.InvariantCulture));
        }
    }

    /// <summary>The catalog says with which directory a member runs; a directory of this node's name that is another one ends it.</summary>
    public void Learn(NodeId id, ulong incarnation)
    {
        Volatile.Write(ref _known[id], incarnation);
        if (id == node.Self && incarnation != node.Identity.Incarnation)
        {
            node.Fatal(MessageFor(node.Options.Name), null);
        }
    }

    /// <summary>What the operator of a node should know that runs with another directory than the cluster knows.</summary>
    public static string MessageFor(string name) =>
        $"The cluster knows {name} by another data directory: the one that it runs with now is empty or a different one. "
        + $"Start {name} with its old directory. If that is lost, the node must be replaced, since an empty one could break promises that "
        + $"the old one made.";

    /// <summary>Another member takes this node to run with another directory.</summary>
    public void OnMisaddressed(NodeId by) => OnRefused(by, MessageFor(node.Options.Name));

    /// <summary>Another member does not take this node for who it says it is.</summary>
    public void OnRefused(NodeId by, string message)
    {
        // No node with a correct catalog refuses a directory that the catalog knows; one that it does not know is new.
        if (Of(node.Self) == 0)
        {
            node.Fatal($"{node.NameOf(by)} refuses this node. {message}", null);
        }
    }

    private static bool TryRead(CatalogEntry entry, out ulong incarnation)
    {
        incarnation = 0;
        return entry.TryRead(out string text)
            && ulong.TryParse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out incarnation);
    }
}
