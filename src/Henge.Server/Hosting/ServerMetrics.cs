using System.Diagnostics.Metrics;

namespace Henge.Server;

/// <summary>What the server counts, under the meter <c>Henge.Server</c>. Names follow OpenTelemetry's conventions. Thread-safe.</summary>
public sealed class ServerMetrics : IDisposable
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = "Henge.Server";

    private readonly Meter _meter = new(MeterName);
    private readonly UpDownCounter<long> _connections;
    private readonly Counter<long> _refused;
    private readonly Counter<long> _failures;

    /// <summary>Creates the instruments.</summary>
    public ServerMetrics()
    {
        _connections = _meter.CreateUpDownCounter<long>("henge.server.connections", "{connection}", "Connections that are open.");
        _refused = _meter.CreateCounter<long>("henge.server.connections.refused", "{connection}", "Connections that were closed before a protocol served them, by reason.");
        _failures = _meter.CreateCounter<long>("henge.server.call.failures", "{call}", "gRPC calls that ended with an internal error.");
    }

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();

    internal void ConnectionOpened() => _connections.Add(1);

    internal void ConnectionClosed() => _connections.Add(-1);

    internal void ConnectionRefused(string reason) => _refused.Add(1, new KeyValuePair<string, object?>("reason", reason));

    internal void CallFailed() => _failures.Add(1);
}
