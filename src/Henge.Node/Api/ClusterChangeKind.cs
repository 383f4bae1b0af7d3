namespace Henge.Node.Api;

/// <summary>What an operator can want of a cluster.</summary>
public enum ClusterChangeKind
{
    /// <summary>A member goes, for ever.</summary>
    Remove = 1,

    /// <summary>A member that is on its way out stays.</summary>
    Cancel = 2,

    /// <summary>A member gives its leaders away, and takes nothing new.</summary>
    Drain = 3,

    /// <summary>The end of that.</summary>
    Undrain = 4,

    /// <summary>Replicas move between members that stay, so that all have their fair share.</summary>
    Rebalance = 5,

    /// <summary>What has not begun to move does not.</summary>
    CancelMoves = 6,

    /// <summary>A setting of the cluster gets another value.</summary>
    Set = 7,
}
