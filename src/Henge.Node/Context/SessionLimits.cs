namespace Henge.Node.Context;

/// <summary>
/// Bounds of a shard's session table. They decide what commands come to, so they must be the same on all replicas: production uses
/// <see cref="Default"/>, which belongs to the format level; only tests make others.
/// </summary>
internal sealed record SessionLimits
{
    public static SessionLimits Default { get; } = new();

    /// <summary>Most sessions of a shard.</summary>
    public int Sessions { get; init; } = 16_384;

    /// <summary>
    /// Most results that are kept of one session: how many requests of one client may overtake one that is retried. At most 32768.
    /// </summary>
    public int Window { get; init; } = 1024;

    /// <summary>Results that a session keeps even when all sessions together are over <see cref="TotalBytes"/>.</summary>
    public int MinimumWindow { get; init; } = 16;

    /// <summary>Largest payload that is kept of a result; of a larger one only the fact remains.</summary>
    public int PayloadBytes { get; init; } = 16 * 1024;

    /// <summary>
    /// Most bytes of payloads that are kept of one session; the oldest results go first, but never the latest <see cref="MinimumWindow"/>:
    /// a client may have as many requests under way, and what it sends for the first time must not pass for forgotten.
    /// </summary>
    public int SessionPayloadBytes { get; init; } = 128 * 1024;

    /// <summary>Bytes of all sessions of a shard over which sessions keep only <see cref="MinimumWindow"/>.</summary>
    public long TotalBytes { get; init; } = 32 * 1024 * 1024;

    /// <summary>A session that was not used for so long, by the log's versions, ends.</summary>
    public long IdleMs { get; init; } = 3_600_000;

    /// <summary>A session that was used within this time never makes room for another.</summary>
    public long ProtectedMs { get; init; } = 60_000;
}
