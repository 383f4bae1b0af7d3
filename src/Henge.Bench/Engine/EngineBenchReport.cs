using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Henge.Bench.Engine;

/// <summary>Results as lines of a table, or as JSON. Pure functions.</summary>
public static class EngineBenchReport
{
    /// <summary>The table's head.</summary>
    public static string Header { get; } =
        string.Create(
            CultureInfo.InvariantCulture,
            $"{"workload",-18} {"ops/s",12} {"p50 us",9} {"p95 us",9} {"p99 us",9} {"p99.9 us",9} {"max us",10} {"w-amp",6} "
                + $"{"alloc B/op",10} {"GCs",4} {"pause ms",8}");

    /// <summary>A line of the table.</summary>
    public static string Line(EngineBenchResult result) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{result.Name,-18} {result.OperationsPerSecond,12:N0} {result.P50Micros,9:F2} {result.P95Micros,9:F2} "
                + $"{result.P99Micros,9:F2} {result.P999Micros,9:F2} {result.MaxMicros,10:F1} {result.WriteAmplification,6:F2} "
                + $"{result.AllocatedBytesPerOperation,10:F2} {result.Collections,4} {result.GcPauseMs,8:F2}");

    /// <summary>All results as a JSON array.</summary>
    public static string ToJson(IReadOnlyList<EngineBenchResult> results) =>
        JsonSerializer.Serialize(results, EngineBenchJson.Default.IReadOnlyListEngineBenchResult);
}

/// <summary>Source-generated serialization of results.</summary>
[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(IReadOnlyList<EngineBenchResult>))]
internal sealed partial class EngineBenchJson : JsonSerializerContext;
