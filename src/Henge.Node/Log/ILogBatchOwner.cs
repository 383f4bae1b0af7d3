namespace Henge.Node.Log;

/// <summary>Who fills a batch for the node log.</summary>
internal interface ILogBatchOwner
{
    /// <summary>The number of the last batch of this owner whose records are in the indexes. Thread-safe.</summary>
    long BatchesDone { get; }

    /// <summary>The batch is written, and durable. Called on the log writer's thread.</summary>
    void OnWritten();
}
