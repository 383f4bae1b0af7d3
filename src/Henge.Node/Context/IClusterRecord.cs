namespace Henge.Node.Context;

/// <summary>What the cluster was made with, as far as this node has seen it. Thread-safe.</summary>
internal interface IClusterRecord
{
    /// <summary>True once the record was read here: a majority of the nodes has made the cluster, with the settings of this node.</summary>
    bool IsEstablished { get; }

    /// <summary>The cluster's id; empty until it is known.</summary>
    string Id { get; }
}
