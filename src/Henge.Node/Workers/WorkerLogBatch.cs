using Henge.Node.Log;

namespace Henge.Node.Workers;

/// <summary>A worker's batch for the node log, which comes back to it as a message when it is written. Used again and again.</summary>
internal sealed class WorkerLogBatch : WorkerMessage, ILogBatchOwner
{
    private readonly Worker _worker;

    /// <summary>Creates an empty one.</summary>
    public WorkerLogBatch(Worker worker)
    {
        _worker = worker;
        Batch = new NodeLogBatch(this);
    }

    /// <summary>What is to be written.</summary>
    public NodeLogBatch Batch { get; }

    /// <inheritdoc/>
    public long BatchesDone => _worker.LogBatchesDone;

    /// <inheritdoc/>
    public void OnWritten() => _worker.Post(this);

    /// <inheritdoc/>
    public override void Process(Worker worker)
    {
        int record = 0;
        foreach (NodeLogRecord written in Batch.Records)
        {
            worker.ReplicaOf(written.Shard)?.OnLogged(written, Batch.Locations[record]);
            record++;
        }

        foreach ((IPersistTarget target, ulong ticket) in Batch.Tickets)
        {
            target.OnPersisted(ticket);
        }

        worker.Recycle(this);
    }
}
