using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;

namespace Henge.Server.Metrics;

/// <summary>
/// Exports a server's metrics, and those of .NET's runtime, to an OTLP collector by OpenTelemetry's own SDK. Dispose of it to send the last
/// ones and stop.
/// </summary>
internal sealed class OtlpExport : IDisposable
{
    private readonly MeterProvider _provider;

    private OtlpExport(MeterProvider provider) => _provider = provider;

    /// <summary>
    /// Begins to export, in the background and for as long as it takes: a collector that cannot be reached is tried again at the next
    /// interval.
    /// </summary>
    /// <param name="endpoint">The collector's URL (gRPC).</param>
    /// <param name="node">The node's name, which goes out as <c>service.instance.id</c>.</param>
    /// <param name="interval">How often.</param>
    /// <param name="metrics">What to export.</param>
    public static OtlpExport Start(string endpoint, string node, TimeSpan interval, ServerMetrics metrics)
    {
        MeterProviderBuilder builder = Sdk.CreateMeterProviderBuilder()
            .ConfigureResource(resource => resource.AddService("henge", serviceInstanceId: node))
            .AddMeter(metrics.Meter.Name, ServerMetrics.RuntimeMeterName)
            .AddOtlpExporter((exporter, reader) =>
            {
                exporter.Endpoint = new Uri(endpoint);
                exporter.Protocol = OtlpExportProtocol.Grpc;
                reader.PeriodicExportingMetricReaderOptions.ExportIntervalMilliseconds = (int)interval.TotalMilliseconds;
            });
        double[] buckets = [.. DurationRecorder.BucketSeconds];
        foreach (string instrument in (string[])[ServerMetrics.RpcDuration, ServerMetrics.HttpDuration, ServerMetrics.OperationDuration])
        {
            builder.AddView(instrument, new ExplicitBucketHistogramConfiguration { Boundaries = buckets });
        }

        return new OtlpExport(builder.Build());
    }

    /// <inheritdoc/>
    public void Dispose() => _provider.Dispose();
}
