using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Context;

namespace Henge.Node.Catalog;

/// <summary>
/// Which data directory each member runs with, as the catalog has it. A member writes itself in when it first starts, once and for all; one
/// that comes back with another directory has lost what it promised (votes, acknowledged entries), and the others do not listen to it.
/// Thread-safe.
/// </summary>
internal sealed class Incarnations(NodeContext node, ICatalogShard catalog) : IIncarnations
{
    private readonly ulong[] _known = new ulong[node.Members.Count + 1];
    private readonly CatalogEntry[] _entries =
    [
        .. node.Members.Select(m => new CatalogEntry(node, catalog, Encoding.UTF8.GetBytes("node/" + m.Name))),
    ];

    /// <summary>The incarnation of a member; 0 while it is not known.</summary>
    public ulong Of(NodeId id) => Volatile.Read(ref _known[id.Value]);

    /// <summary>Reads what the catalog has by now, and writes this node in when it is not there. Called now and then.</summary>
    public void Refresh(bool mayRegister = true)
    {
        foreach (MemberInfo member in node.Members)
        {
            if (_known[member.Id.Value] == 0 && TryRead(member, out ulong incarnation))
            {
                Volatile.Write(ref _known[member.Id.Value], incarnation);
            }
        }

        ulong own = _known[node.Self.Value];
        if (own == 0)
        {
            if (mayRegister)
            {
                EntryOf(node.Members[(int)node.Self.Value - 1])
                    .Write(node.Identity.Incarnation.ToString("x16", CultureInfo.InvariantCulture));
            }
        }
        else if (own != node.Identity.Incarnation)
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
            node.Fatal($"{node.Members[(int)by.Value - 1].Name} refuses this node. {message}", null);
        }
    }

    private bool TryRead(MemberInfo member, out ulong incarnation)
    {
        incarnation = 0;
        return EntryOf(member).TryRead(out string text)
            && ulong.TryParse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out incarnation);
    }

    private CatalogEntry EntryOf(MemberInfo member) => _entries[member.Id.Value - 1];
}
