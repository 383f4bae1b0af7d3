namespace Henge.Client.Transport;

/// <summary>
/// The cluster that a client belongs to: the one it was told, or that of the first node that told it a topology. It goes with every call,
/// so that a node of another cluster refuses it before it looks at it: an address may have come to lead elsewhere. Thread-safe.
/// </summary>
internal sealed class ClusterPin(string? id)
{
    private string? _id = string.IsNullOrEmpty(id) ? null : id;

    /// <summary>The cluster's id; null while it is not known.</summary>
    public string? Id => Volatile.Read(ref _id);

    /// <summary>A node has told the id of its cluster. False when the client belongs to another one.</summary>
    public bool Accepts(string clusterId)
    {
        // Nodes that do not tell it cannot be told apart.
        if (clusterId.Length == 0)
        {
            return true;
        }

        string? known = Interlocked.CompareExchange(ref _id, clusterId, null);
        return known is null || known == clusterId;
    }
}
