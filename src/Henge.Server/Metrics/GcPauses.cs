using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Henge.Server.Metrics;

/// <summary>
/// Watches how long the garbage collector stops the process. .NET tells the sum of all pauses; an object that every collection finalizes
/// looks at it each time, so that single pauses come out. Should the finalizer be late and several collections lie between two looks, they
/// count as one pause: what is told as the longest is never too short. Costs one small object for each collection.
/// </summary>
internal sealed class GcPauses : IDisposable
{
    private readonly Lock _gate = new();
    private TimeSpan _seen = GC.GetTotalPauseDuration();
    private long _longestTicks;
    private volatile bool _disposed;

    public GcPauses(Meter meter)
    {
        Durations = new DurationRecorder(null);
        meter.CreateObservableGauge(
            "henge.gc.pause.longest",
            () => Longest.TotalSeconds,
            "s",
            "Longest pause by the garbage collector since the server started.");
        CreateSentinel(this);
    }

    /// <summary>All pauses.</summary>
    public DurationRecorder Durations { get; }

    /// <summary>The longest since the server started.</summary>
    public TimeSpan Longest
    {
        get
        {
            ReadPauses();
            return TimeSpan.FromTicks(Interlocked.Read(ref _longestTicks));
        }
    }

    public void Dispose() => _disposed = true;

    private static void CreateSentinel(GcPauses owner) => _ = new Sentinel(owner);

    private void ReadPauses()
    {
        lock (_gate)
        {
            TimeSpan total = GC.GetTotalPauseDuration(), pause = total - _seen;
            _seen = total;
            if (pause > TimeSpan.Zero)
            {
                Durations.Record((long)(pause.TotalSeconds * Stopwatch.Frequency));
                Interlocked.Exchange(ref _longestTicks, Math.Max(_longestTicks, pause.Ticks));
            }
        }
    }

    private sealed class Sentinel(GcPauses owner)
    {
        ~Sentinel()
        {
            if (!owner._disposed && !Environment.HasShutdownStarted)
            {
                owner.ReadPauses();
                CreateSentinel(owner);
            }
        }
    }
}
