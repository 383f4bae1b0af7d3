namespace Henge.Client;

/// <summary>How a read is made sure of. The numbers are on the wire.</summary>
public enum ReadConsistency
{
    /// <summary>As the node is set; linearizable unless its operator says otherwise.</summary>
    Default = 0,

    /// <summary>Sees every write that was acknowledged before the read began (ReadIndex; Raft thesis, section 6.4).</summary>
    Linearizable = 1,

    /// <summary>
    /// The same by the leader's lease: one round trip less, resting on the bound on clock drift (Raft thesis, section 6.4.1).
    /// </summary>
    Lease = 2,

    /// <summary>Whatever the asked node has applied; may be old, is answered without a majority.</summary>
    Stale = 3,
}
