using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Henge.Core;
using Henge.Server.Operations;

namespace Henge.Server.Metrics;

/// <summary>
/// What a server measures, under the meter <c>Henge</c>. Names follow OpenTelemetry's conventions where there are some. Recording is free
/// of locks and allocations. Thread-safe.
/// </summary>
public sealed class ServerMetrics : IDisposable
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = "Henge";

    /// <summary>The meter of .NET's own runtime, which exporters show beside it.</summary>
    public const string RuntimeMeterName = "System.Runtime";

    internal const string RpcDuration = "rpc.server.call.duration";
    internal const string HttpDuration = "http.server.request.duration";
    internal const string OperationDuration = "henge.server.operation.duration";

    private static readonly ErrorCode[] Codes = Enum.GetValues<ErrorCode>();

    private readonly Histogram<double> _rpc;
    private readonly Histogram<double> _http;
    private readonly Histogram<double> _operations;
    private readonly ConcurrentDictionary<(string Instrument, string First, string Second), DurationRecorder> _durations = new();
    private readonly ConcurrentDictionary<string, long> _refused = new(StringComparer.Ordinal);
    private readonly long[] _failed = new long[Codes.Max(static c => (int)c) + 1];
    private readonly DurationRecorder[] _session;
    private long _respErrors;
    private long _opened;
    private long _closed;

    /// <summary>Creates the instruments.</summary>
    public ServerMetrics()
    {
        Meter = new Meter(MeterName);
        _rpc = Meter.CreateHistogram<double>(RpcDuration, "s", "Duration of gRPC calls; of streams, until their end.");
        _http = Meter.CreateHistogram<double>(HttpDuration, "s", "Duration of HTTP requests that are no gRPC calls.");
        _operations = Meter.CreateHistogram<double>(
            OperationDuration,
            "s",
            "Duration of operations of doors where several travel together (RESP, sessions) or that have no convention (JSON lines, Thrift).");
        Meter.CreateObservableUpDownCounter(
            "henge.server.connections",
            () => Interlocked.Read(ref _opened) - Interlocked.Read(ref _closed),
            "{connection}",
            "Connections that are open.");
        Meter.CreateObservableCounter(
            "henge.server.connections.accepted",
            () => Interlocked.Read(ref _opened),
            "{connection}",
            "Connections that were accepted.");
        Meter.CreateObservableCounter(
            "henge.server.connections.refused",
            () => _refused.Select(static r => new Measurement<long>(r.Value, new KeyValuePair<string, object?>("reason", r.Key))),
            "{connection}",
            "Connections that were closed before a protocol served them, by reason.");
        Meter.CreateObservableCounter(
            "henge.server.errors",
            ReadErrors,
            "{error}",
            "Calls and operations that were answered with an error, by error; errors of RESP are together, as clients of Redis know them.");
        _session = [.. Enum.GetValues<KvRequestKind>().Select(kind => Operations("session", kind.ToString().ToLowerInvariant()))];
        Channels = new ChannelMetrics(Meter);
        GcPauses = new GcPauses(Meter);
    }

    /// <summary>The meter, for exporters.</summary>
    public Meter Meter { get; }

    /// <summary>What is published and who is subscribed.</summary>
    internal ChannelMetrics Channels { get; }

    /// <summary>Pauses by the garbage collector.</summary>
    internal GcPauses GcPauses { get; }

    /// <summary>All recorders of durations that there are, with the instrument that they belong to.</summary>
    internal IEnumerable<(string Instrument, DurationRecorder Recorder)> Durations =>
        _durations.Select(static d => (d.Key.Instrument, d.Value));

    /// <inheritdoc/>
    public void Dispose()
    {
        GcPauses.Dispose();
        Meter.Dispose();
    }

    /// <summary>The recorder of a gRPC method, as <c>package.Service/Method</c>.</summary>
    internal DurationRecorder RpcCalls(string method) =>
        _durations.GetOrAdd(
            (RpcDuration, method, ""),
            static (_, a) => new DurationRecorder(a.Metrics._rpc, new("rpc.system.name", "grpc"), new("rpc.method", a.Method)),
            (Metrics: this, Method: method));

    /// <summary>The recorder of an HTTP route.</summary>
    internal DurationRecorder HttpRequests(string method, string route) =>
        _durations.GetOrAdd(
            (HttpDuration, method, route),
            static (_, a) => new DurationRecorder(a.Metrics._http, new("http.request.method", a.Method), new("http.route", a.Route)),
            (Metrics: this, Method: method, Route: route));

    /// <summary>The recorder of one operation of a door.</summary>
    internal DurationRecorder Operations(string door, string operation) =>
        _durations.GetOrAdd(
            (OperationDuration, door, operation),
            static (_, a) => new DurationRecorder(a.Metrics._operations, new("henge.door", a.Door), new("henge.operation", a.Operation)),
            (Metrics: this, Door: door, Operation: operation));

    /// <summary>The recorder of one kind of operation in sessions, without a look into a table.</summary>
    internal DurationRecorder SessionOperations(KvRequestKind kind) => _session[(int)kind];

    internal void ConnectionOpened() => Interlocked.Increment(ref _opened);

    internal void ConnectionClosed() => Interlocked.Increment(ref _closed);

    internal void ConnectionRefused(string reason) => _refused.AddOrUpdate(reason, 1, static (_, n) => n + 1);

    internal void Failed(ErrorCode code) =>
        Interlocked.Increment(ref _failed[(uint)code < (uint)_failed.Length ? (int)code : (int)ErrorCode.Internal]);

    internal void RespErrors(long errors) => Interlocked.Add(ref _respErrors, errors);

    private IEnumerable<Measurement<long>> ReadErrors()
    {
        foreach (ErrorCode code in Codes)
        {
            long count = Interlocked.Read(ref _failed[(int)code]);
            if (count > 0)
            {
                yield return new Measurement<long>(count, new KeyValuePair<string, object?>("error.type", code.ToString()));
            }
        }

        yield return new Measurement<long>(Interlocked.Read(ref _respErrors), new KeyValuePair<string, object?>("error.type", "resp"));
    }
}
