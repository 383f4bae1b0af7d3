namespace Henge.Node.Peers;

/// <summary>Takes what leaders of shards tell the catalog's leader. Thread-safe.</summary>
internal interface IShardReports
{
    /// <summary>Reports have come, one after another in the body of a record.</summary>
    void OnReports(ReadOnlySpan<byte> body);
}
