namespace Henge.Node.Api;

/// <summary>The parts of a recovery, in the order in which they are done: each on all nodes before the next one begins on any.</summary>
public enum RecoveryPhase
{
    /// <summary>Those who are lost are never listened to again.</summary>
    Fence = 1,

    /// <summary>The catalog goes on from the node that has most of it.</summary>
    Catalog = 2,

    /// <summary>The shards go on.</summary>
    Shards = 3,
}
