namespace Henge.Raft;

/// <summary>How far <see cref="RaftGroup.Recover"/> is.</summary>
public enum RecoveryStatus : byte
{
    /// <summary>The log ends elsewhere than whoever wants it recovered believes. Nothing was done.</summary>
    Differs = 0,

    /// <summary>The membership stands in the log, and is not durable yet: ask again.</summary>
    Written = 1,

    /// <summary>The membership is durable: nothing that was there before comes back.</summary>
    Durable = 2,
}
