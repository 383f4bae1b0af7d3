using Henge.Core;
using Henge.Server.Events;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Hosting;

/// <summary>Reads the setting <c>log-level</c>: <c>Information,Henge.Raft=Debug</c>. Pure functions.</summary>
internal static class LogLevelSetting
{
    private const string Default = "Default";
    private static readonly string[] Others = ["Microsoft", "Grpc", "System"];

    /// <summary>Puts the levels into options. Throws <see cref="FormatException"/> with what is allowed.</summary>
    public static LogOptions Apply(LogOptions options, string text)
    {
        LogLevel byDefault = LogLevel.Information;
        List<CategoryLevel> categories = [];
        foreach (string part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = part.IndexOf('=', StringComparison.Ordinal);
            LogLevel level = LevelOf(part[(equals + 1)..].Trim());
            string category = equals < 0 ? Default : part[..equals].Trim();
            if (category == Default)
            {
                byDefault = level;
            }
            else
            {
                CheckCategory(category);
                categories.RemoveAll(other => other.Category == category);
                categories.Add(new CategoryLevel(category, level));
            }
        }

        return options with { Level = byDefault, Categories = categories.Count == 0 ? Array.Empty<CategoryLevel>() : categories };
    }

    private static LogLevel LevelOf(string text)
    {
        string[] names = Enum.GetNames<LogLevel>();
        foreach (string name in names)
        {
            if (name.Equals(text, StringComparison.OrdinalIgnoreCase))
            {
                return Enum.Parse<LogLevel>(name);
            }
        }

        throw new FormatException(
            $"a list of levels ({string.Join(", ", names)}) with commas between, each with a category and = before it or alone for all "
                + $"others; \"{text}\" is no level{Hint(text, names)}");
    }

    private static void CheckCategory(string category)
    {
        if (category == "Henge" || ServerEvents.Categories.Contains(category) || Others.Any(other => IsWithin(category, other)))
        {
            return;
        }

        throw new FormatException(
            $"a list of levels with the categories Henge, {string.Join(", ", ServerEvents.Categories)}, or one of "
                + $"{string.Join(", ", Others)}; \"{category}\" is none{Hint(category, ServerEvents.Categories)}");
    }

    private static bool IsWithin(string category, string outer) =>
        category == outer || category.StartsWith(outer + ".", StringComparison.Ordinal);

    private static string Hint(string given, IEnumerable<string> names) =>
        NearMiss.Find(given, names) is { } near ? $" (did you mean {near}?)" : "";
}
