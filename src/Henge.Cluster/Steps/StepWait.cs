namespace Henge.Cluster.Steps;

/// <summary>What a shard's next step waits for.</summary>
public enum StepWait : byte
{
    /// <summary>For nothing.</summary>
    None = 0,

    /// <summary>The change before it is not finished.</summary>
    ChangeUnderWay = 1,

    /// <summary>Learners have not caught up (<see cref="ShardStep.EntriesLeft"/>, <see cref="ShardStep.BytesLeft"/>).</summary>
    CatchingUp = 2,

    /// <summary>Members that shall get a replica are down.</summary>
    TargetIsDown = 3,

    /// <summary>
    /// Fewer replicas would be whole and in touch than the shard needs, or could spare before: the ones that are not must come back first.
    /// </summary>
    WouldWeaken = 4,
}
