namespace Henge.Cluster.Planning;

/// <summary>What a plan could not do.</summary>
public enum PlanProblemKind : byte
{
    /// <summary>Shards have fewer replicas than they shall have: there are no other nodes that could take one.</summary>
    TooFewNodes = 0,

    /// <summary>A member that leaves, or is down for long, keeps replicas, since there is no other place for them.</summary>
    NoPlaceElsewhere = 1,

    /// <summary>None of a shard's replicas is on a member that may lead.</summary>
    NobodyToLead = 2,

    /// <summary>Replicas of shards stand in fewer zones than they could. A rebalance spreads them.</summary>
    NotSpread = 3,
}
