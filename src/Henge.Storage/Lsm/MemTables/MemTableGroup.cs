namespace Henge.Storage.Lsm.MemTables;

/// <summary>Entries that are brought into a memtable together (<see cref="MemTable.AddGroup"/>). Lives on the stack.</summary>
internal unsafe struct MemTableGroup
{
    public SkipList.Group Nodes;
    public fixed ulong Hashes[SkipList.GroupSize];

    /// <summary>True when no more can be added before it is brought in.</summary>
    public readonly bool IsFull => Nodes.Count == SkipList.GroupSize;
}
