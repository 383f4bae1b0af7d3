namespace Henge.Testing.Files;

/// <summary>A directory: its names as they are, and as a crash would leave them.</summary>
internal sealed class SimulatedDirectory : SimulatedNode
{
    internal SortedDictionary<string, SimulatedNode> Entries { get; private set; } = new(StringComparer.Ordinal);

    internal SortedDictionary<string, SimulatedNode> Durable { get; private set; } = new(StringComparer.Ordinal);

    internal void RevertToDurable() => Entries = new SortedDictionary<string, SimulatedNode>(Durable, StringComparer.Ordinal);

    internal SimulatedDirectory Clone(Dictionary<SimulatedNode, SimulatedNode> copies)
    {
        if (copies.TryGetValue(this, out SimulatedNode? known))
        {
            return (SimulatedDirectory)known;
        }

        var copy = new SimulatedDirectory();
        copies[this] = copy;
        foreach ((string name, SimulatedNode node) in Entries)
        {
            copy.Entries[name] = CloneNode(node, copies);
        }

        foreach ((string name, SimulatedNode node) in Durable)
        {
            copy.Durable[name] = CloneNode(node, copies);
        }

        return copy;
    }

    internal static SimulatedNode CloneNode(SimulatedNode node, Dictionary<SimulatedNode, SimulatedNode> copies)
    {
        if (copies.TryGetValue(node, out SimulatedNode? known))
        {
            return known;
        }

        return node is SimulatedDirectory directory ? directory.Clone(copies) : copies[node] = ((SimulatedInode)node).Clone();
    }
}

/// <summary>A change of names that has yet to reach the disk: all of it does, or nothing.</summary>
internal sealed record NameChange(
    SimulatedNode Node,
    SimulatedDirectory? RemoveFrom,
    string? RemovedName,
    SimulatedDirectory? AddTo,
    string? AddedName)
{
    internal bool Touches(SimulatedDirectory directory) => RemoveFrom == directory || AddTo == directory;

    internal void ApplyNow()
    {
        if (RemoveFrom is not null)
        {
            RemoveFrom.Entries.Remove(RemovedName!);
        }

        if (AddTo is not null)
        {
            AddTo.Entries[AddedName!] = Node;
        }
    }

    internal void ApplyDurably()
    {
        // Another change of the same name may have been lost or kept before this one: remove only what is meant.
        if (RemoveFrom is not null && RemoveFrom.Durable.TryGetValue(RemovedName!, out SimulatedNode? there) && there == Node)
        {
            RemoveFrom.Durable.Remove(RemovedName!);
        }

        if (AddTo is not null)
        {
            AddTo.Durable[AddedName!] = Node;
        }
    }

    internal NameChange CopyWith(Dictionary<SimulatedNode, SimulatedNode> copies) => new(
        SimulatedDirectory.CloneNode(Node, copies),
        RemoveFrom?.Clone(copies),
        RemovedName,
        AddTo?.Clone(copies),
        AddedName);
}
