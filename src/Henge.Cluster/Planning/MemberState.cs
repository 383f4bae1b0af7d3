namespace Henge.Cluster.Planning;

/// <summary>
/// Where a member stands in its life: joining → up → draining | leaving → left. That a member is down is an observation, not a state.
/// </summary>
public enum MemberState : byte
{
    /// <summary>It has a number, and has not been seen running yet. It takes no replicas.</summary>
    Joining = 0,

    /// <summary>It takes its share of replicas and of leadership.</summary>
    Up = 1,

    /// <summary>It is to be stopped for a while: it keeps its replicas, takes no new ones and leads nothing.</summary>
    Draining = 2,

    /// <summary>It is to go: its replicas are made elsewhere.</summary>
    Leaving = 3,

    /// <summary>It has gone for ever. Its number is not used again.</summary>
    Left = 4,
}
