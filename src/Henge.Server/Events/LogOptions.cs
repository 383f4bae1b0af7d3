using Microsoft.Extensions.Logging;

namespace Henge.Server.Events;

/// <summary>What is logged, and how.</summary>
public sealed record LogOptions
{
    /// <summary>The format.</summary>
    public LogFormat Format { get; init; }

    /// <summary>The least level of categories that <see cref="Categories"/> does not name.</summary>
    public LogLevel Level { get; init; } = LogLevel.Information;

    /// <summary>Levels by category: of those that fit one, the longest name counts.</summary>
    public IReadOnlyList<CategoryLevel> Categories { get; init; } = [];
}
