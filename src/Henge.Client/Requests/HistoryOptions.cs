namespace Henge.Client;

/// <summary>What a request for a key's history can say.</summary>
public sealed record HistoryOptions : RequestOptions
{
    /// <summary>The whole retained history.</summary>
    public static HistoryOptions Default { get; } = new();

    /// <summary>Most versions to give; 0: all that is kept.</summary>
    public int Limit { get; init; }

    /// <summary>Only versions at or below this one; zero: from the newest.</summary>
    public Core.Version MaxVersion { get; init; }

    /// <summary>How the read is made sure of.</summary>
    public ReadConsistency Consistency { get; init; }
}
