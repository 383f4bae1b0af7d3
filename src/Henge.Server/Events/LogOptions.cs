using Microsoft.Extensions.Logging;

namespace Henge.Server.Events;

/// <summary>How events are written.</summary>
public enum LogFormat
{
    /// <summary>A line for people: time, level, category, id and message.</summary>
    Text,
    /// <summary>A JSON object a line, with the arguments of each message as fields.</summary>
    Json,
}

/// <summary>The least level at which a category is logged.</summary>
/// <param name="Category">The category; those whose names begin with it are meant too.</param>
/// <param name="Level">The level.</param>
public readonly record struct CategoryLevel(string Category, LogLevel Level);

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
