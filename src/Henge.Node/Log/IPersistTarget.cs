namespace Henge.Node.Log;

/// <summary>Whose records the node log makes durable. Called by the worker that filled the batch, in its own time.</summary>
internal interface IPersistTarget
{
    /// <summary>A record of this shard is in the log.</summary>
    void OnLogged(in NodeLogRecord record, in EntryLocation location);

    /// <summary>What was handed over under a ticket is durable.</summary>
    void OnPersisted(ulong ticket);
}
