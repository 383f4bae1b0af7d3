using Henge.Core;
using Henge.Node.Replication;
using Henge.Node.Workers;

namespace Henge.Node.Log;

/// <summary>
/// What one worker wants in the node log: records of all its shards, and whom to tell when they are durable. Filled by the worker, written by the
/// log's writer, then back to the worker, who uses it again.
/// </summary>
internal sealed class NodeLogBatch(Worker owner) : WorkerMessage
{
    /// <summary>The worker that filled it.</summary>
    public Worker Owner { get; } = owner;

    /// <summary>Counts the owner's batches, from 1.</summary>
    public long Number { get; set; }

    /// <summary>What to write, in order.</summary>
    public List<NodeLogRecord> Records { get; } = [];

    /// <summary>Where each record was written.</summary>
    public List<EntryLocation> Locations { get; } = [];

    /// <summary>Whose tickets are due when it is durable, in order.</summary>
    public List<(ShardReplica Replica, ulong Ticket)> Tickets { get; } = [];

    /// <summary>For the writer's queue.</summary>
    public NodeLogBatch? NextToWrite { get; set; }

    /// <summary>True when there is nothing to write.</summary>
    public bool IsEmpty => Records.Count == 0 && Tickets.Count == 0;

    /// <inheritdoc/>
    public override void Process(Worker worker)
    {
        int record = 0;
        foreach (NodeLogRecord written in Records)
        {
            worker.ReplicaOf(written.Shard)?.OnLogged(written, Locations[record]);
            record++;
        }

        foreach ((ShardReplica replica, ulong ticket) in Tickets)
        {
            replica.OnPersisted(ticket);
        }

        Records.Clear();
        Locations.Clear();
        Tickets.Clear();
        worker.Recycle(this);
    }
}
