namespace Henge.Node.Log;

/// <summary>
/// What one worker wants in the node log: records of all its shards, and whom to tell when they are durable. Filled by the worker, written
/// by the log's writer, then back to the worker, who uses it again.
/// </summary>
internal sealed class NodeLogBatch(ILogBatchOwner owner)
{
    /// <summary>Who filled it.</summary>
    public ILogBatchOwner Owner { get; } = owner;

    /// <summary>Counts the owner's batches, from 1.</summary>
    public long Number { get; set; }

    /// <summary>What to write, in order.</summary>
    public List<NodeLogRecord> Records { get; } = [];

    /// <summary>Where each record was written.</summary>
    public List<EntryLocation> Locations { get; } = [];

    /// <summary>Whose tickets are due when it is durable, in order.</summary>
    public List<(IPersistTarget Target, ulong Ticket)> Tickets { get; } = [];

    /// <summary>For the writer's queue.</summary>
    public NodeLogBatch? NextToWrite { get; set; }

    /// <summary>True when there is nothing to write.</summary>
    public bool IsEmpty => Records.Count == 0 && Tickets.Count == 0;

    /// <summary>Makes it ready to be filled again.</summary>
    public void Clear()
    {
        Records.Clear();
        Locations.Clear();
        Tickets.Clear();
    }
}
