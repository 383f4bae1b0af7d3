using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>What a replica is in its group just now.</summary>
public enum ReplicaRole : byte
{
    /// <summary>Follows a leader, or waits for one.</summary>
    Follower,
    /// <summary>Seeks election.</summary>
    Candidate,
    /// <summary>Leads.</summary>
    Leader,
    /// <summary>Follows without a vote.</summary>
    Learner,
}
