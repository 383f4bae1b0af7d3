namespace Henge.Client;

/// <summary>What reads can say.</summary>
public abstract record ReadOptions : RequestOptions
{
    /// <summary>How the read is made sure of.</summary>
    public ReadConsistency Consistency { get; init; }

    /// <summary>Read as of this version; zero means now. Only one of this and <see cref="AtTime"/> may be given.</summary>
    public Core.Version AtVersion { get; init; }

    /// <summary>Read as of this moment (to the millisecond, by versions' clock); null means now.</summary>
    public DateTimeOffset? AtTime { get; init; }
}
