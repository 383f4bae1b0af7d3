namespace Henge.Cluster.Recovery;

/// <summary>What has become of a shard whose nodes are lost.</summary>
public enum LossKind : byte
{
    /// <summary>A majority is left: it goes on by itself, and must not be recovered.</summary>
    Serving = 0,

    /// <summary>No majority is left, but every acknowledged write is on a node that is.</summary>
    Complete = 1,

    /// <summary>No majority is left, and writes may have been acknowledged by nodes alone that are lost.</summary>
    MayLose = 2,

    /// <summary>Nothing is left of it.</summary>
    Gone = 3,
}
