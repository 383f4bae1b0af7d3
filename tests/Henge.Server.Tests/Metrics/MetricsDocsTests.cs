using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Hosting;
using Henge.Server.Metrics;
using Henge.Server.Peers;
using Henge.Server.Tests.Fakes;

namespace Henge.Server.Tests.Metrics;

/// <summary>What the documents say of metrics is what there is.</summary>
public sealed partial class MetricsDocsTests
{
    private static readonly string[] Labels =
    [
        "henge_role",
        "henge_peer",
        "henge_certificate",
        "henge_level",
        "henge_door",
        "henge_operation",
        "rpc_method",
        "rpc_system_name",
        "http_request_method",
        "http_route",

        // Of CLUSTER INFO.
        "henge_state",
    ];

    [Fact]
    public async Task Every_metric_stands_in_the_table_on_operation_and_every_one_of_the_table_exists()
    {
        HashSet<string> real = await RealAsync();
        HashSet<string> ours = [.. real.Where(static n => !n.StartsWith("dotnet_", StringComparison.Ordinal))];
        string[] rows =
        [
            .. File.ReadAllLines(Path.Combine(Docs(), "operations.md"))
                .SkipWhile(static l => !l.StartsWith("| Metric (", StringComparison.Ordinal))
                .Skip(2)
                .TakeWhile(static l => l.StartsWith('|')),
        ];
        HashSet<string> table = [.. rows.SelectMany(static r => Names(r.Split('|')[1]))];
        Assert.Equal(ours.Order(StringComparer.Ordinal), table.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Every_metric_that_a_document_names_exists()
    {
        HashSet<string> real = await RealAsync();
        foreach (string file in Directory.GetFiles(Docs(), "*.md"))
        {
            string[] unknown = [.. Names(File.ReadAllText(file)).Where(n => !real.Contains(n)).Distinct()];
            Assert.True(unknown.Length == 0, $"{Path.GetFileName(file)} names {string.Join(", ", unknown)}");
        }
    }

    private static IEnumerable<string> Names(string text) =>
        Name().Matches(text).Select(static m => Suffix().Replace(m.Value, "")).Where(static n => !Labels.Contains(n));

    private static async Task<HashSet<string>> RealAsync()
    {
        using ServerMetrics metrics = new();
        using PeerTransport transport = new(
            new NodeId(1),
            [new NodeEntry(new NodeId(1), "a", "127.0.0.1:1"), new NodeEntry(new NodeId(2), "b", "127.0.0.1:1")]);
        FakeNode node = new();
        await using HengeServer server = new(node, new DoorOptions { Address = "127.0.0.1:0" }, metrics: metrics);
        PeerMetrics.Observe(metrics.Meter, node, transport);
        HashSet<string> names = [];
        using MeterListener listener = new();
        listener.InstrumentPublished = (instrument, _) =>
        {
            if (
                ReferenceEquals(instrument.Meter, metrics.Meter)
                || (instrument.Meter.Name == ServerMetrics.RuntimeMeterName && instrument.IsObservable))
            {
                names.Add(PrometheusExporter.Name(instrument.Name, instrument.Unit, PrometheusExporter.IsCounter(instrument)));
            }
        };
        listener.Start();
        using PrometheusExporter exporter = new(metrics);
        names.UnionWith(Type().Matches(exporter.Collect()).Select(static m => m.Groups[1].Value));
        return names;
    }

    private static string Docs([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "..", "docs"));

    [GeneratedRegex(@"\b(henge|dotnet|rpc|http)_[a-z0-9_]+")]
    private static partial Regex Name();

    [GeneratedRegex("^# TYPE ([a-z0-9_]+) ", RegexOptions.Multiline)]
    private static partial Regex Type();

    [GeneratedRegex("_(bucket|count|sum)$")]
    private static partial Regex Suffix();
}
