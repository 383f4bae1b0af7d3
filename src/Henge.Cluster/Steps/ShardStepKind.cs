namespace Henge.Cluster.Steps;

/// <summary>What is to be done next with a shard.</summary>
public enum ShardStepKind : byte
{
    /// <summary>Nothing: it is where it shall be.</summary>
    Done = 0,

    /// <summary>Nothing now: <see cref="ShardStep.Wait"/> says what for.</summary>
    Wait = 1,

    /// <summary>Begin to send the log and the state to more members, without a vote.</summary>
    AddLearners = 2,

    /// <summary>Stop sending to learners that the target does not name (any more).</summary>
    RemoveLearners = 3,

    /// <summary>Change who votes, by joint consensus.</summary>
    ChangeVoters = 4,

    /// <summary>Hand leadership over, to <see cref="ShardStep.To"/>.</summary>
    TransferLeader = 5,
}
