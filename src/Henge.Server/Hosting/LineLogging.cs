using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Hosting;

/// <summary>Writes log messages as lines, <c>time level category: message</c>, to a writer. Thread-safe.</summary>
/// <param name="writer">Where to.</param>
/// <param name="least">The least level of Henge's own messages; the web server's own are shown from warnings on.</param>
public sealed class LineLogging(TextWriter writer, LogLevel least = LogLevel.Information) : ILoggerFactory
{
    private readonly Lock _lock = new();

    /// <inheritdoc/>
    public ILogger CreateLogger(string categoryName) =>
        new LineLogger(this, categoryName, categoryName.StartsWith("Henge", StringComparison.Ordinal) ? least : LogLevel.Warning);

    /// <summary>Not possible: lines are all that there is.</summary>
    public void AddProvider(ILoggerProvider provider) =>
        throw new NotSupportedException("Lines go to one writer; use another ILoggerFactory for providers.");

    /// <summary>Nothing is held.</summary>
    public void Dispose()
    {
    }

    private void Write(LogLevel level, string category, string message, Exception? exception)
    {
        string name = level switch
        {
            LogLevel.Trace => "trace",
            LogLevel.Debug => "debug",
            LogLevel.Information => "info",
            LogLevel.Warning => "warn",
            LogLevel.Error => "error",
            _ => "fatal",
        };
        string time = DateTimeOffset.UtcNow.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        lock (_lock)
        {
            writer.WriteLine($"{time} {name} {category}: {message}");
            if (exception is not null)
            {
                writer.WriteLine(exception);
            }

            writer.Flush();
        }
    }

    private sealed class LineLogger(LineLogging owner, string category, LogLevel least) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= least && logLevel != LogLevel.None;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
            {
                owner.Write(logLevel, category, formatter(state, exception), exception);
            }
        }
    }
}
