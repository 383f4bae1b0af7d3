using System.Collections.Concurrent;
using Serilog.Core;
using Serilog.Events;

namespace Henge.Server.Tests.Audit;

/// <summary>A file that fails, or hangs, when the test says so.</summary>
internal sealed class FakeSink : ILogEventSink, IDisposable
{
    private readonly ManualResetEventSlim _isOpen = new(true);
    private readonly SemaphoreSlim _tries = new(0);
    private volatile Exception? _problem;

    public ConcurrentQueue<LogEvent> Events { get; } = [];

    /// <summary>What writing throws; null: nothing.</summary>
    public Exception? Problem
    {
        get => _problem;
        set => _problem = value;
    }

    /// <summary>What writing a line throws; null: nothing.</summary>
    public Func<LogEvent, Exception?>? ProblemOf { get; set; }

    public int Disposals { get; private set; }

    // The log disposes of it after each failure, and opens it again: it is the same.
    public void Dispose() => Disposals++;

    public void Hang() => _isOpen.Reset();

    public void GoOn() => _isOpen.Set();

    /// <summary>Until somebody tries to write.</summary>
    public async Task TriedAsync()
    {
        while (await _tries.WaitAsync(0))
        {
        }

        await _tries.WaitAsync(TestContext.Current.CancellationToken);
    }

    public void Emit(LogEvent logEvent)
    {
        _tries.Release();
        _isOpen.Wait();
        if ((ProblemOf?.Invoke(logEvent) ?? Problem) is { } problem)
        {
            throw problem;
        }

        Events.Enqueue(logEvent);
    }

    public static long Number(LogEvent line, string name) =>
        line.Properties.TryGetValue(name, out LogEventPropertyValue? value) ? (long)((ScalarValue)value).Value! : 0;

    public static string Text(LogEvent line, string name) =>
        line.Properties.TryGetValue(name, out LogEventPropertyValue? value) ? ((ScalarValue)value).Value?.ToString() ?? "" : "";
}
