namespace Henge.Simulation.Scale;

/// <summary>What one operation takes in a cluster of a size, and what the busiest node has to do for it.</summary>
/// <param name="Setting">The cluster.</param>
/// <param name="Operations">How many operations were done.</param>
/// <param name="Frames">Frames between nodes for an operation, without those of a cluster at rest.</param>
/// <param name="Bytes">Bytes in them.</param>
/// <param name="Syncs">Syncs of disks for a write, all nodes together.</param>
/// <param name="BusiestByOperations">Operations of the node with most of them, as a multiple of the mean.</param>
/// <param name="Busiest">Operations, frames sent and frames taken in by the busiest node, as a multiple of the mean.</param>
/// <param name="AtRest">Frames that a node sends in a second while nobody asks for anything.</param>
/// <param name="Leaders">Fewest and most shards that a node leads.</param>
/// <param name="Replicas">Fewest and most replicas of a node.</param>
internal sealed record ScaleResult(
    ScaleSetting Setting,
    long Operations,
    double Frames,
    double Bytes,
    double Syncs,
    double BusiestByOperations,
    double Busiest,
    double AtRest,
    (int Fewest, int Most) Leaders,
    (int Fewest, int Most) Replicas)
{
    /// <summary>Operations, and frames sent and taken in for them, by operation: what a cluster's processors do.</summary>
    public double Steps => 1 + (2 * Frames);

    /// <summary>
    /// Operations a second and node that one processor of the busiest node has time for, if each step takes so many microseconds.
    /// </summary>
    public double OperationsForNode(double stepMicroseconds) => 1e6 / (stepMicroseconds * Steps * Busiest);
}
