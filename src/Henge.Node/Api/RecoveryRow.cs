using Henge.Core;

namespace Henge.Node.Api;

/// <summary>What becomes of a shard in a recovery.</summary>
public sealed record RecoveryRow
{
    /// <summary>Which shard.</summary>
    public required ShardId Shard { get; init; }

    /// <summary>"Serving", "Complete", "MayLose" or "Gone".</summary>
    public required string Kind { get; init; }

    /// <summary>"-" (nothing is done), "goes on", "begins empty" or "stays as it is".</summary>
    public required string Action { get; init; }

    /// <summary>The name of the node that it goes on from; empty: none.</summary>
    public string From { get; init; } = "";

    /// <summary>The highest version that is kept.</summary>
    public Core.Version KeptVersion { get; init; }

    /// <summary>What was acknowledged up to this version is kept for certain.</summary>
    public Core.Version CertainVersion { get; init; }

    /// <summary>The last entry that is kept.</summary>
    public LogIndex Kept { get; init; }

    /// <summary>Committed entries that are known to be lost; others may come on top.</summary>
    public ulong CertainlyLost { get; init; }

    /// <summary>The names of the voters that are lost or damaged.</summary>
    public IReadOnlyList<string> Lost { get; init; } = [];
}
