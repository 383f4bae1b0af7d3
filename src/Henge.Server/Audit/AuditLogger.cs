using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Audit;

/// <summary>
/// Writes the events of the category <c>Henge.Audit</c> to the audit log as well as to the ordinary one, whatever the ordinary one leaves
/// out. Thread-safe.
/// </summary>
internal sealed class AuditLogger(ILogger ordinary, AuditLog audit) : ILogger
{
    private const string Template = "{OriginalFormat}";

    /// <summary>Whom events of access and the cluster are told.</summary>
    public static ILogger Over(ILogger ordinary, AuditLog? audit) => audit is null ? ordinary : new AuditLogger(ordinary, audit);

    /// <inheritdoc/>
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => ordinary.BeginScope(state);

    /// <inheritdoc/>
    public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

    /// <inheritdoc/>
    public void Log<TState>(
        LogLevel logLevel,
        EventId eventId,
        TState state,
        Exception? exception,
        Func<TState, Exception?, string> formatter)
    {
        if (ordinary.IsEnabled(logLevel))
        {
            ordinary.Log(logLevel, eventId, state, exception, formatter);
        }

        string template = "{Message}";
        List<(string, object?)> fields = [("EventId", eventId.Id)];
        if (state is IReadOnlyList<KeyValuePair<string, object?>> parts)
        {
            foreach ((string name, object? value) in parts)
            {
                if (name == Template)
                {
                    template = (string)value!;
                }
                else
                {
                    fields.Add((name, AuditText.Bounded(TextOf(value))));
                }
            }
        }
        else
        {
            fields.Add(("Message", AuditText.Bounded(formatter(state, exception))));
        }

        // Everybody can send what is refused: it has no room of its own.
        bool isChange = !eventId.Name?.EndsWith("Refused", StringComparison.Ordinal) ?? true;
        audit.Take(new AuditLine(eventId.Name ?? "", template, [.. fields]), isChange);
    }

    private static string TextOf(object? value) =>
        value switch
        {
            DateTimeOffset time => time.UtcDateTime.ToString("O", CultureInfo.InvariantCulture),
            IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
            _ => value?.ToString() ?? "",
        };
}
