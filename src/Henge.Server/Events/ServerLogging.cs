using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace Henge.Server.Events;

/// <summary>
/// Writes events to a writer, by the console formatters of .NET. A line has been written when a call returns, so that what a process logs
/// before it ends itself is not lost. Thread-safe.
/// </summary>
public sealed class ServerLogging : ILoggerFactory
{
    private const string TimeFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'";

    // What the web server says of each request is not wanted unless it is asked for; and its check of health is told by the node itself.
    private static readonly CategoryLevel[] Defaults =
    [
        new("Microsoft", LogLevel.Warning),
        new("Grpc", LogLevel.Warning),
        new("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None),
        new("Microsoft.Extensions.Diagnostics.HealthChecks", LogLevel.None),
    ];

    private readonly LoggerFactory _factory;

    /// <summary>Makes a factory that writes to a writer, which stays open.</summary>
    public ServerLogging(TextWriter writer, LogOptions? options = null)
    {
        options ??= new LogOptions();
        LoggerFilterOptions filter = new() { MinLevel = options.Level };

        // Of two rules for one category the later one counts.
        foreach (CategoryLevel rule in Defaults.Concat(options.Categories))
        {
            filter.Rules.Add(new LoggerFilterRule(null, rule.Category, rule.Level, null));
        }

        _factory = new LoggerFactory([new WriterProvider(writer, CreateFormatter(options.Format))], filter);
    }

    /// <summary>Logs that a node cannot start.</summary>
    public void ReportStartFailure(Exception exception) =>
        ServerEvents.Node.StartFailed(CreateLogger(ServerEvents.Node.Category), exception.Message);

    /// <inheritdoc/>
    public ILogger CreateLogger(string categoryName) => _factory.CreateLogger(categoryName);

    /// <inheritdoc/>
    public void AddProvider(ILoggerProvider provider) => _factory.AddProvider(provider);

    /// <inheritdoc/>
    public void Dispose() => _factory.Dispose();

    // The formatters are internal to the package: a service collection is the way to them.
    private static ConsoleFormatter CreateFormatter(LogFormat format)
    {
        ServiceCollection services = new();
        services.AddLogging(logging =>
        {
            if (format == LogFormat.Json)
            {
                logging.AddJsonConsole(json =>
                {
                    json.UseUtcTimestamp = true;
                    json.TimestampFormat = TimeFormat;
                    json.JsonWriterOptions = new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
                });
            }
            else
            {
                logging.AddSimpleConsole(text =>
                {
                    text.SingleLine = true;
                    text.UseUtcTimestamp = true;
                    text.TimestampFormat = TimeFormat + "' '";
                    text.ColorBehavior = LoggerColorBehavior.Disabled;
                });
            }
        });
        string name = format == LogFormat.Json ? ConsoleFormatterNames.Json : ConsoleFormatterNames.Simple;
        using ServiceProvider provider = services.BuildServiceProvider();
        return provider.GetServices<ConsoleFormatter>().First(formatter => formatter.Name == name);
    }

    private sealed class WriterProvider(TextWriter writer, ConsoleFormatter formatter) : ILoggerProvider
    {
        private readonly Lock _lock = new();

        public ILogger CreateLogger(string categoryName) => new WriterLogger(this, categoryName);

        public void Write<TState>(in LogEntry<TState> entry)
        {
            using StringWriter line = new();
            formatter.Write(entry, null, line);
            lock (_lock)
            {
                writer.Write(line.GetStringBuilder());
                writer.Flush();
            }
        }

        public void Dispose()
        {
        }
    }

    private sealed class WriterLogger(WriterProvider provider, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter) =>
            provider.Write(new LogEntry<TState>(logLevel, category, eventId, state, exception, formatter));
    }
}
