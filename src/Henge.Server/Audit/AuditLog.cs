using System.Diagnostics.Metrics;
using System.Globalization;
using System.Security.Cryptography;
using Henge.Core;
using Henge.Server.Events;
using Microsoft.Extensions.Logging;
using Serilog.Core;
using Serilog.Events;
using Serilog.Parsing;

namespace Henge.Server.Audit;

/// <summary>
/// The audit log. Whoever has something to say leaves it in a queue with room for so many lines, and waits for nothing; one thread writes
/// them. Lines have numbers without gaps. Those for which there was no room, because the file could not be written or too many came, are
/// counted, told of, and named by the next line that is written. Thread-safe.
/// </summary>
internal sealed class AuditLog : IDisposable
{
    /// <summary>So many lines wait.</summary>
    public const int Capacity = 16_384;

    private static readonly TimeSpan LossSpan = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LongestEnd = TimeSpan.FromSeconds(5);
    private readonly AuditSettings _settings;
    private readonly ILogger _logger;
    private readonly string _run = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
    private readonly string _node;
    private readonly object _gate = new();
    private readonly Queue<AuditLine> _lines = new();
    private readonly EventLimit _losses;
    private readonly ManualResetEventSlim _isEnding = new();
    private readonly MessageTemplateParser _parser = new();
    private readonly Dictionary<string, MessageTemplate> _templates = new(StringComparer.Ordinal);
    private readonly Thread _writer;

    // Under the gate.
    private long _sequence;
    private long _lostSince;
    private bool _ended;

    private long _lost;
    private long _written;
    private volatile string? _problem;

    // Of the writer.
    private ILogEventSink? _file;

    private AuditLog(AuditSettings settings, string node, ILogger logger)
    {
        (_settings, _node, _logger) = (settings, node, logger);
        _losses = new EventLimit(settings.Time, 1, LossSpan, count => ServerEvents.Access.AuditLinesLost(logger, count, Lost));
        _writer = new Thread(Run) { Name = "henge-audit", IsBackground = true };
    }

    /// <summary>Lines that are in the file.</summary>
    public long Written => Interlocked.Read(ref _written);

    /// <summary>Lines that are not, and never will be.</summary>
    public long Lost => Interlocked.Read(ref _lost);

    /// <summary>Lines that wait.</summary>
    public int Waiting
    {
        get
        {
            lock (_gate)
            {
                return _lines.Count;
            }
        }
    }

    /// <summary>Why the file cannot be written now; null: it can, as far as is known.</summary>
    public string? Problem => _problem;

    /// <summary>What the node says of it to everybody who asks whether it serves; null: all is well.</summary>
    public string? Notice =>
        (_problem, Lost) switch
        {
            (null, 0) => null,
            (null, var lost) => string.Create(CultureInfo.InvariantCulture, $"audit: {lost} lines of the audit log were lost"),
            (_, var lost) => string.Create(CultureInfo.InvariantCulture, $"audit: the audit log cannot be written; {lost} lines were lost"),
        };

    /// <summary>Opens the log that the settings of a node ask for; null: none. Throws as <see cref="Open"/> does.</summary>
    public static AuditLog? OpenIfAsked(AuditOptions options, string node, ILogger logger)
    {
        AuditSettings.Check(options);
        return options.Path.Length == 0 ? null : Open(AuditSettings.Of(options), node, logger);
    }

    /// <summary>
    /// Opens the log and writes its first line. Throws <see cref="HengeException"/> (Misconfigured) when that cannot be done.
    /// </summary>
    /// <param name="settings">Where it writes, and how.</param>
    /// <param name="node">The node's name.</param>
    /// <param name="logger">The ordinary log, which is told of what is lost.</param>
    public static AuditLog Open(AuditSettings settings, string node, ILogger logger)
    {
        AuditLog log = new(settings, node, logger);
        AuditLine first = new("Begun", "The audit log of {Node} begins", [])
        {
            Time = settings.Time.GetUtcNow(),
            Sequence = ++log._sequence,
        };
        if (!log.TryWrite(first, out Exception? problem))
        {
            log._losses.Dispose();
            log._isEnding.Dispose();
            throw new HengeException(
                ErrorCode.Misconfigured,
                $"The audit log cannot be written to '{settings.Path}': {problem!.Message} Choose another file with --audit-log, or make it "
                    + "one that this user may write.",
                problem);
        }

        log._writer.Start();
        return log;
    }

    /// <summary>Shows what becomes of the lines.</summary>
    public static void Observe(Meter meter, AuditLog? log)
    {
        meter.CreateObservableCounter("henge.audit.lines", () => log?.Written ?? 0, "{line}", "Lines written to the audit log.");
        meter.CreateObservableCounter(
            "henge.audit.lost",
            () => log?.Lost ?? 0,
            "{line}",
            "Lines of the audit log that were lost, because it could not be written or too many came at once.");
        meter.CreateObservableUpDownCounter(
            "henge.audit.waiting", () => (long)(log?.Waiting ?? 0), "{line}", "Lines that wait to be written to the audit log.");
    }

    /// <summary>Takes a line; never waits for the disk.</summary>
    /// <param name="line">The line.</param>
    /// <param name="isChange">
    /// A change of access or the cluster: an eighth of the room is for such alone, so that what is said of keys, and of what is refused,
    /// does not push them out.
    /// </param>
    public void Take(AuditLine line, bool isChange)
    {
        line.Time = _settings.Time.GetUtcNow();
        bool isLost;
        lock (_gate)
        {
            line.Sequence = ++_sequence;
            isLost = _ended || _lines.Count >= (isChange ? _settings.Capacity : _settings.Capacity - (_settings.Capacity / 8));
            if (isLost)
            {
                _lostSince++;
                Interlocked.Increment(ref _lost);
            }
            else
            {
                (line.LostBefore, _lostSince) = (_lostSince, 0);
                _lines.Enqueue(line);
                if (_lines.Count == 1)
                {
                    Monitor.Pulse(_gate);
                }
            }
        }

        if (isLost && _losses.IsLogged())
        {
            ServerEvents.Access.AuditLinesLost(_logger, 1, Lost);
        }
    }

    /// <summary>Writes what waits and a last line, as long as that is possible, and closes the file.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_ended)
            {
                return;
            }
        }

        Take(new AuditLine("Ended", "The audit log of {Node} ends; {LostInAll} lines were lost", [("LostInAll", Lost)]), isChange: true);
        lock (_gate)
        {
            _ended = true;
            Monitor.Pulse(_gate);
        }

        _isEnding.Set();
        bool isOver = _writer.Join(LongestEnd);
        int left;
        lock (_gate)
        {
            left = _lines.Count;
            _lines.Clear();
        }

        if (left > 0)
        {
            Interlocked.Add(ref _lost, left);
            ServerEvents.Access.AuditLinesLost(_logger, left, Lost);
        }

        _losses.Dispose();
        if (isOver)
        {
            _isEnding.Dispose();
        }
    }

    private void Run()
    {
        while (Next() is { } line)
        {
            while (!TryWrite(line, out Exception? problem))
            {
                if (problem is not IOException and not UnauthorizedAccessException)
                {
                    // It is the line: another try would not help it, and those behind it wait.
                    Lose(line);
                    break;
                }

                if (_isEnding.IsSet || _isEnding.Wait(_settings.Retry))
                {
                    // One more try was made if there was time for it; the rest is counted by who ends it.
                    Close();
                    return;
                }
            }

            lock (_gate)
            {
                // Cleared meanwhile, when the end was not waited for.
                _lines.TryDequeue(out _);
            }
        }

        Close();
    }

    // It stays in the queue until it is written, so that it is counted wherever it ends.
    private AuditLine? Next()
    {
        lock (_gate)
        {
            while (_lines.Count == 0 && !_ended)
            {
                Monitor.Wait(_gate);
            }

            return _lines.TryPeek(out AuditLine? line) ? line : null;
        }
    }

    private void Lose(AuditLine line)
    {
        Interlocked.Increment(ref _lost);
        lock (_gate)
        {
            AuditLine? next = _lines.Skip(1).FirstOrDefault();
            if (next is null)
            {
                _lostSince += 1 + line.LostBefore;
            }
            else
            {
                next.LostBefore += 1 + line.LostBefore;
            }
        }

        if (_losses.IsLogged())
        {
            ServerEvents.Access.AuditLinesLost(_logger, 1, Lost);
        }
    }

    private bool TryWrite(AuditLine line, out Exception? problem)
    {
        try
        {
            _file ??= _settings.Open();
            _file.Emit(ToEvent(line));
            Interlocked.Increment(ref _written);
            if (_problem is not null)
            {
                _problem = null;
                ServerEvents.Access.AuditRecovered(_logger, Lost);
            }

            problem = null;
            return true;
        }
        catch (Exception e)
        {
            problem = e;
            Close();
            if (_problem is null && line.Name != "Begun")
            {
                ServerEvents.Access.AuditFailed(_logger, e.Message);
            }

            _problem = e.Message;
            return false;
        }
    }

    private void Close()
    {
        try
        {
            (_file as IDisposable)?.Dispose();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It has been told of when the line could not be written.
        }

        _file = null;
    }

    private LogEvent ToEvent(AuditLine line)
    {
        if (!_templates.TryGetValue(line.Template, out MessageTemplate? template))
        {
            // There are as many as there are events.
            template = _parser.Parse(line.Template);
            _templates.Add(line.Template, template);
        }

        List<LogEventProperty> properties =
        [
            Property("Sequence", line.Sequence), Property("Run", _run), Property("Node", _node), Property("Event", line.Name),
        ];
        foreach ((string name, object? value) in line.Fields)
        {
            properties.Add(Property(name, value));
        }

        if (line.LostBefore > 0)
        {
            properties.Add(Property("LostBefore", line.LostBefore));
        }

        return new LogEvent(line.Time, LogEventLevel.Information, null, template, properties);
    }

    private static LogEventProperty Property(string name, object? value) => new(name, new ScalarValue(value));
}
