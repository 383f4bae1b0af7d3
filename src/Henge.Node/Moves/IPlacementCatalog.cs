using Henge.Cluster.Planning;

namespace Henge.Node.Moves;

/// <summary>What the catalog has of members, settings and placements, as this node has applied it. Thread-safe.</summary>
internal interface IPlacementCatalog
{
    /// <summary>What is applied here; null while that is not known.</summary>
    PlacementState? Read();

    /// <summary>
    /// Asks for both placements to be written, on the condition that members, settings and placements still are as they were seen. Whether
    /// it was done shows in what is read next; one write at a time.
    /// </summary>
    void Write(PlacementState seen, TargetPlacement goal, TargetPlacement followed, ulong planned);
}
