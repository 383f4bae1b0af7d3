using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Context;

namespace Henge.Node.Peers;

/// <summary>
/// The first thing that two nodes say to each other: what their cluster was made with. Nodes that differ in any of it exchange nothing
/// more, since a node that counts other replicas than its peers could acknowledge what they do not have
/// (docs/decisions/0156-what-is-fixed-when-a-cluster-is-made.md). Thread-safe.
/// </summary>
internal sealed class PeerHellos(NodeContext node)
{
    private const string FirstLine = "henge-hello 1";

    // To a member that has left, with its directory's number: nobody sends it the catalog any more, so it would not learn it there.
    private const string Left = "left ";
    private const int MaxRefused = 64;
    private const long RepeatIntervalMs = 60_000;
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, (string Problem, long ToldMs)> _refused = new(StringComparer.Ordinal);

    /// <summary>Peers that are refused, with the reason, until they say something else.</summary>
    public IReadOnlyList<string> Refused
    {
        get
        {
            lock (_lock)
            {
                return [.. _refused.Select(static r => $"{r.Key}: {r.Value.Problem}")];
            }
        }
    }

    /// <summary>This node's hello.</summary>
    public byte[] HelloTo(NodeId peer)
    {
        var frame = new PeerFrameBuilder(node.Sender, peer);
        frame.BeginRecord(PeerRecordKind.Hello, ShardId.Catalog);
        byte[] text = Encoding.UTF8.GetBytes(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{FirstLine}\nname {node.Identity.Name}\nestablished {(node.Cluster.IsEstablished ? 1 : 0)}\n"
                    + $"address {node.AddressOf(node.Self)}\ncluster {node.Cluster.Id}\n"
            ) + (node.Members.HasLeft(peer) ? LeftLine(node.Incarnations.Of(peer)) + "\n" : "") + node.Identity.Founding.ToText());
        text.CopyTo(frame.GetSpan(text.Length));
        frame.Advance(text.Length);
        frame.EndRecord();
        return frame.Complete(receiverIncarnation: 0).ToArray();
    }

    /// <summary>Compares a peer's hello; false when it is refused.</summary>
    public bool OnHello(ReadOnlySpan<byte> bytes, out NodeId peer)
    {
        peer = NodeId.None;
        if (
            bytes.Length > PeerFrame.MaxHelloBytes
            || !PeerFrame.TryRead(bytes, out PeerSender sender, out PeerReceiver to, out PeerRecordReader records)
            || !records.MoveNext()
            || records.Kind != PeerRecordKind.Hello)
        {
            return false;
        }

        peer = sender.Node;
        string[] lines = Encoding.UTF8.GetString(records.Body).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        string name = lines.FirstOrDefault(static l => l.StartsWith("name ", StringComparison.Ordinal))?["name ".Length..] ?? "";
        if (lines.Length == 0 || lines[0] != FirstLine || name.Length is 0 or > 64 || FoundingSettings.Parse(lines) is not { } theirs)
        {
            Refuse(
                name.Length is 0 or > 64 ? sender.Node.ToString() : name,
                "its hello cannot be read. Run the same release on all nodes.");
            return false;
        }

        if (node.Options.Bugs.DoesNotCompareHellos)
        {
            return true;
        }

        IReadOnlyList<SettingDifference> differences = node.Identity.Founding.DifferencesTo(theirs);
        if (differences.Count > 0)
        {
            Refuse(
                name,
                $"{string.Join("; ", differences)}. These are fixed when a cluster is made, and must be the same on all its nodes.");
            EndIfItCannotJoin(name, theirs, differences, isEstablished: lines.Contains("established 1"));
            return false;
        }

        if (to.Node == node.Self && (lines.Contains(LeftLine(node.Identity.Incarnation)) || IsTooLate(lines)))
        {
            node.EndAsLeft();
            return false;
        }

        if (node.Members.HasLeft(sender.Node))
        {
            Refuse(name, $"it has left the cluster, in which it was member {sender.Node}, and does not come back under that number.");
            return false;
        }

        if (to.Node == node.Self && sender.Node.Value <= MemberTable.MostIds && !IsKnown(sender.Node, name))
        {
            if (!MayHaveJoined(sender.Node, lines))
            {
                return false;
            }

            node.Members.Hear(sender.Node, name, AddressIn(lines));
        }

        if (
            to.Node != node.Self
            || sender.Node == node.Self
            || node.NameOf(sender.Node) != name)
        {
            Refuse(
                name,
                $"it takes this node for {to.Node}, and this node is {node.Self}. The addresses in the cluster's list do not lead to the "
                    + $"nodes that they name.");
            return false;
        }

        lock (_lock)
        {
            _refused.Remove(name);
        }

        LearnAddress(sender, name, lines);
        return true;
    }

    // A member that was started at another address can write that into the catalog only when the others find it.
    private void LearnAddress(PeerSender sender, string name, string[] lines)
    {
        ulong known = node.Incarnations.Of(sender.Node);
        if ((known == 0 || known == sender.Incarnation) && AddressIn(lines) is { Length: > 0 } address)
        {
            node.Members.Hear(sender.Node, name, address);
        }
    }

    private bool IsKnown(NodeId id, string name) =>
        node.Members.TryGet(id, out MemberInfo known) && (known.Name == name || !known.IsHearsay);

    // It has joined, and this node has not applied that yet. It may be the very leader that has what this node lacks, so it is heard; but
    // only if it is of the same cluster, and not of an earlier one that was made with the same settings.
    private bool MayHaveJoined(NodeId id, string[] lines)
    {
        const string Item = "cluster ";
        string theirs = lines.FirstOrDefault(static l => l.StartsWith(Item, StringComparison.Ordinal))?[Item.Length..] ?? "";
        return (int)id.Value > node.Identity.Founding.Members.Count
            && theirs.Length > 0
            && (theirs == node.Cluster.Id || node.Cluster.Id.Length == 0)
            && AddressIn(lines).Length > 0;
    }

    // A founder that was removed before it was ever up.
    private bool IsTooLate(string[] lines) => node.Identity.Joined is null && lines.Contains(LeftLine(MemberTable.NoDirectory));

    private static string LeftLine(ulong incarnation) => Left + incarnation.ToString("x16", CultureInfo.InvariantCulture);

    private static string AddressIn(string[] lines)
    {
        const string Item = "address ";
        return lines.FirstOrDefault(static l => l.StartsWith(Item, StringComparison.Ordinal)) is { } line
            && NodeJoining.IsAddress(line[Item.Length..])
            ? line[Item.Length..]
            : "";
    }

    private void Refuse(string name, string problem)
    {
        long now = node.MonotonicMs;
        lock (_lock)
        {
            bool known = _refused.TryGetValue(name, out (string Problem, long ToldMs) last);
            if (known && last.Problem == problem && now - last.ToldMs < RepeatIntervalMs)
            {
                return;
            }

            if (!known && _refused.Count >= MaxRefused)
            {
                return;
            }

            _refused[name] = (problem, now);
        }

        node.Events?.PeerRefused(name, problem);
    }

    // A node that has taken part in its cluster is never stopped by another cluster's nodes. One that has not ends when it can never join:
    // the cluster that it should be in exists with others, or so many members have others that no majority is left.
    private void EndIfItCannotJoin(string name, FoundingSettings theirs, IReadOnlyList<SettingDifference> differences, bool isEstablished)
    {
        if (node.Cluster.IsEstablished || node.Incarnations.Of(node.Self) != 0)
        {
            return;
        }

        int others;
        lock (_lock)
        {
            others = node.Members.Current.Count(m => m.Id != node.Self && _refused.ContainsKey(m.Name));
        }

        bool exists = isEstablished && theirs.Members.Any(m => m.Name == node.Identity.Name);
        if (exists || node.Members.Count - others < (node.Members.Count / 2) + 1)
        {
            node.Fatal(
                (
                    exists
                        ? $"The cluster of {name} exists and was made with other settings than this node: "
                        : $"So many nodes were started with other settings that no majority is left for this one's; {name}: ")
                    + $"{string.Join("; ", differences)}. This node has never taken part in a cluster. Find out which settings are right, "
                    + $"empty the data directory of each node that had others ('{node.Options.DataDirectory}' if it "
                    + "is this one), and start it with the right ones.",
                null);
        }
    }
}
