using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace Henge.Server.Metrics;

/// <summary>
/// Writes what a server's meter and .NET's own runtime meter say in Prometheus' text format, version 0.0.4, with names as OpenTelemetry's
/// specification maps them: dots become underscores, the unit becomes a suffix, counters end with <c>_total</c>. The registry has no
/// exporter package that could do it. Thread-safe: collections come one at a time.
/// </summary>
internal sealed class PrometheusExporter : IDisposable
{
    /// <summary>The content type of the format.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private readonly ServerMetrics _metrics;
    private readonly MeterListener _listener = new();
    private readonly Lock _gate = new();
    private readonly SortedDictionary<string, Family> _families = new(StringComparer.Ordinal);

    public PrometheusExporter(ServerMetrics metrics)
    {
        _metrics = metrics;

        // Of other instruments than observable ones nothing is heard: durations are read from their recorders.
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (
                instrument.IsObservable
                && (ReferenceEquals(instrument.Meter, metrics.Meter) || instrument.Meter.Name == ServerMetrics.RuntimeMeterName))
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<int>(OnMeasurement);
        _listener.SetMeasurementEventCallback<long>(OnMeasurement);
        _listener.SetMeasurementEventCallback<double>(OnMeasurement);
        _listener.Start();
    }

    /// <summary>Everything as it is now.</summary>
    public string Collect()
    {
        lock (_gate)
        {
            _families.Clear();
            _listener.RecordObservableInstruments();
            var text = new StringBuilder(16 * 1024);
            foreach ((string name, Family family) in _families)
            {
                Head(text, name, family.Help, family.IsCounter ? "counter" : "gauge");
                text.Append(family.Samples);
            }

            Histogram(text, ServerMetrics.RpcDuration, "Duration of gRPC calls; of streams, until their end.");
            Histogram(text, ServerMetrics.HttpDuration, "Duration of HTTP requests that are no gRPC calls.");
            Histogram(
                text,
                ServerMetrics.OperationDuration,
                "Duration of operations of doors where several travel together, or that have no convention.");
            Head(text, "henge_gc_pause_duration_seconds", "Pauses by the garbage collector.", "histogram");
            Buckets(text, "henge_gc_pause_duration_seconds", _metrics.GcPauses.Durations, always: true);
            return text.ToString();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    private void OnMeasurement<T>(Instrument instrument, T measurement, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? state)
        where T : struct, IConvertible
    {
        bool counter = IsCounter(instrument);
        string name = Name(instrument.Name, instrument.Unit, counter);
        if (!_families.TryGetValue(name, out Family? family))
        {
            _families.Add(name, family = new Family(instrument.Description ?? "", counter));
        }

        family.Samples.Append(name);
        Labels(family.Samples, tags, null);
        family.Samples.Append(' ').Append(Format(measurement.ToDouble(CultureInfo.InvariantCulture))).Append('\n');
    }

    private void Histogram(StringBuilder text, string instrument, string help)
    {
        string name = Name(instrument, "s", counter: false);
        bool first = true;
        foreach (
            DurationRecorder recorder in _metrics
                .Durations.Where(d => d.Instrument == instrument)
                .Select(static d => d.Recorder)
                .OrderBy(static r => LabelsOf(r), StringComparer.Ordinal))
        {
            if (first)
            {
                Head(text, name, help, "histogram");
                first = false;
            }

            Buckets(text, name, recorder, always: false);
        }
    }

    private static void Buckets(StringBuilder text, string name, DurationRecorder recorder, bool always)
    {
        IReadOnlyList<double> ends = DurationRecorder.BucketSeconds;
        Span<long> buckets = stackalloc long[ends.Count + 1];
        if (!recorder.TryRead(buckets, out long count, out double sum) && !always)
        {
            return;
        }

        long below = 0;
        for (int i = 0; i < buckets.Length; i++)
        {
            below += buckets[i];
            text.Append(name).Append("_bucket");
            Labels(text, recorder.Tags, i < ends.Count ? Format(ends[i]) : "+Inf");
            text.Append(' ').Append(below).Append('\n');
        }

        text.Append(name).Append("_sum");
        Labels(text, recorder.Tags, null);
        text.Append(' ').Append(Format(sum)).Append('\n').Append(name).Append("_count");
        Labels(text, recorder.Tags, null);
        text.Append(' ').Append(count).Append('\n');
    }

    private static string LabelsOf(DurationRecorder recorder)
    {
        var text = new StringBuilder();
        Labels(text, recorder.Tags, null);
        return text.ToString();
    }

    private static void Head(StringBuilder text, string name, string help, string type) =>
        text.Append("# HELP ")
            .Append(name)
            .Append(' ')
            .Append(help.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal))
            .Append("\n# TYPE ")
            .Append(name)
            .Append(' ')
            .Append(type)
            .Append('\n');

    private static void Labels(StringBuilder text, ReadOnlySpan<KeyValuePair<string, object?>> tags, string? le)
    {
        if (tags.IsEmpty && le is null)
        {
            return;
        }

        text.Append('{');
        foreach ((string name, object? value) in tags)
        {
            Label(text, Word(name), Convert.ToString(value, CultureInfo.InvariantCulture) ?? "");
        }

        if (le is not null)
        {
            Label(text, "le", le);
        }

        text[^1] = '}';
    }

    private static void Label(StringBuilder text, string name, string value) =>
        text.Append(name)
            .Append("=\"")
            .Append(
                value
                    .Replace("\\", "\\\\", StringComparison.Ordinal)
                    .Replace("\"", "\\\"", StringComparison.Ordinal)
                    .Replace("\n", "\\n", StringComparison.Ordinal))
            .Append("\",");

    /// <summary>
    /// True for what only grows. .NET publishes the length of the thread pool's queue as a counter, which it is not (dotnet/runtime,
    /// RuntimeMetrics.cs); a rate over it would make no sense.
    /// </summary>
    internal static bool IsCounter(Instrument instrument) =>
        instrument.GetType() is { IsGenericType: true } type
        && type.GetGenericTypeDefinition() == typeof(ObservableCounter<>)
        && instrument.Name != "dotnet.thread_pool.queue.length";

    /// <summary>A name as the specification maps it. Units in braces say what is counted, and are left out.</summary>
    internal static string Name(string name, string? unit, bool counter)
    {
        string suffix = unit switch
        {
            "s" => "_seconds",
            "By" => "_bytes",
            "1" when !counter => "_ratio",
            _ => "",
        };
        string word = Word(name);
        return (word.EndsWith(suffix, StringComparison.Ordinal) ? word : word + suffix) + (counter ? "_total" : "");
    }

    private static string Word(string name) => string.Create(name.Length, name, static (span, from) =>
    {
        for (int i = 0; i < span.Length; i++)
        {
            span[i] = char.IsAsciiLetterOrDigit(from[i]) ? from[i] : '_';
        }
    });

    private static string Format(double value) => value.ToString("R", CultureInfo.InvariantCulture);

    private sealed record Family(string Help, bool IsCounter)
    {
        public StringBuilder Samples { get; } = new();
    }
}
