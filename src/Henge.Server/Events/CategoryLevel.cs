using Microsoft.Extensions.Logging;

namespace Henge.Server.Events;

/// <summary>The least level at which a category is logged.</summary>
/// <param name="Category">The category; those whose names begin with it are meant too.</param>
/// <param name="Level">The level.</param>
public readonly record struct CategoryLevel(string Category, LogLevel Level);
