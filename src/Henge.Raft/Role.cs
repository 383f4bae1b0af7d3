namespace Henge.Raft;

/// <summary>What a node is in its group at the moment.</summary>
public enum RaftRole : byte
{
    /// <summary>Follows a leader, or waits for one.</summary>
    Follower = 0,

    /// <summary>Asks whether it could win an election, without having changed its term (Raft thesis, section 9.6).</summary>
    PreCandidate = 1,

    /// <summary>Asks for votes in a new term.</summary>
    Candidate = 2,

    /// <summary>Leads: the only one that takes proposals.</summary>
    Leader = 3,
}
