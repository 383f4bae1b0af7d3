using Henge.Cluster.Steps;
using Henge.Core;

namespace Henge.Node.Moves;

/// <summary>How a shard that is not where it shall be gets on. Immutable.</summary>
internal sealed record ShardMove
{
    /// <summary>Which shard.</summary>
    public required ShardId Shard { get; init; }

    /// <summary>What its leader does next.</summary>
    public required ShardStepKind Step { get; init; }

    /// <summary>What it waits for.</summary>
    public StepWait Wait { get; init; }

    /// <summary>Which members it waits for.</summary>
    public IReadOnlyList<NodeId> WaitsFor { get; init; } = [];

    /// <summary>How many entries learners lack, together.</summary>
    public ulong EntriesLeft { get; init; }

    /// <summary>How many bytes of snapshots are still to be sent.</summary>
    public long BytesLeft { get; init; }

    /// <summary>How many bytes of snapshots that are under way have been taken in.</summary>
    public long BytesSent { get; init; }

    /// <summary>For how long nothing has come nearer, in milliseconds.</summary>
    public long StalledForMs { get; init; }

    /// <summary>True when nothing has come nearer for so long that somebody should look.</summary>
    public bool IsStuck => StalledForMs >= ShardMover.StuckMs;
}
