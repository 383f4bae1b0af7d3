using System.Globalization;
using System.Text.Json;
using Henge.Client;
using Henge.EndToEnd.Tests.Harness;
using Wire = Henge.Protocol.V1;

namespace Henge.EndToEnd.Tests;

/// <summary>A running cluster grows and shrinks by the operator's commands.</summary>
public sealed class OperatorTests
{
    private const int Keys = 200;

    [Fact]
    public async Task A_fourth_node_joins_takes_its_share_and_another_one_leaves_with_nothing_lost()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(3, limit.Token);
        await cluster.StartAllAsync();
        using HengeClient client = cluster.Client();
        for (int i = 0; i < Keys; i++)
        {
            Assert.True((await client.PutAsync(KeyOf(i), ValueOf(i), cancellationToken: limit.Token)).Succeeded);
        }

        string address = string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{ClusterProcesses.FreePort()}");
        using HengeProcess joined = HengeProcess.Start(
            "serve",
            "--node-id",
            "n4",
            "--addr",
            address,
            "--data-dir",
            Path.Combine(Path.GetDirectoryName(cluster.DataDirectory(0))!, "n4"),
            "--memory",
            "64MiB",
            "--join",
            cluster.Addresses[0]);

        // Of the 12 replicas of four shards, each of four nodes gets three; what moves is shown while it does, and nothing at the end.
        await cluster.UntilAsync("n4 has its share and nothing moves", async () =>
        {
            JsonElement? nodes = await JsonAsync("cluster", "nodes"), moves = await JsonAsync("cluster", "moves");
            return nodes is { } n && moves is { } m
                && n.GetProperty("nodes").EnumerateArray().Any(static e =>
                    e.GetProperty("id").GetString() == "n4" && e.GetProperty("shards").GetInt32() == 3
                    && e.GetProperty("planned_shards").GetInt32() == 3)
                && m.GetProperty("moves").GetArrayLength() == 0 && m.GetProperty("waiting_shards").GetArrayLength() == 0;
        });

        // Who is not there cannot leave; what has no other place is said before anything is done; the rest is shown.
        Assert.Equal(5, (await RunAsync("cluster", "remove", "nobody")).ExitCode);
        (int exitCode, string printed) = await RunAsync("cluster", "remove", "n2", "--dry-run");
        Assert.True(exitCode == 0, printed);
        Assert.Contains("dry run", printed, StringComparison.Ordinal);

        (exitCode, printed) = await RunAsync("cluster", "remove", "n2", "--wait");
        Assert.True(exitCode == 0 && printed.Contains("n2 has left.", StringComparison.Ordinal), printed);
        Assert.Equal(0, await cluster[1].WaitForExitAsync(limit.Token));
        Assert.Contains("has left its cluster", cluster[1].Printed, StringComparison.Ordinal);
        JsonElement left = (await JsonAsync("cluster", "nodes")).GetValueOrDefault();
        Assert.Equal(
            ["n1", "n3", "n4"],
            left.GetProperty("nodes").EnumerateArray().Select(static n => n.GetProperty("id").GetString()!));

        // Everything is there, from the node that came as well.
        using HengeClient others = cluster.Client(new HengeClientOptions(), 0, 2);
        using HengeClient newest = new(new HengeClientOptions { Peers = [address] });
        for (int i = 0; i < Keys; i++)
        {
            Assert.Equal(ValueOf(i), (await (i % 2 == 0 ? others : newest).GetAsync(KeyOf(i), cancellationToken: limit.Token)).Text);
        }

        // One more cannot go: three replicas need three nodes.
        (exitCode, printed) = await RunAsync("cluster", "remove", "n3");
        Assert.True(exitCode == 5, printed);
        Assert.Contains("keeps its replicas", printed, StringComparison.Ordinal);

        async Task<JsonElement?> JsonAsync(params string[] arguments)
        {
            (int code, string text) = await RunAsync([.. arguments, "--output", "json"]);
            return code == 0 ? JsonDocument.Parse(text).RootElement.Clone() : null;
        }

        async Task<(int ExitCode, string Printed)> RunAsync(params string[] arguments)
        {
            using HengeProcess process = HengeProcess.Start(
                [.. arguments, "--timeout", "30s", "--peers", $"{cluster.Addresses[0]},{cluster.Addresses[2]}"]);
            return (await process.WaitForExitAsync(limit.Token), process.Printed);
        }
    }

    private static string KeyOf(int i) => string.Create(CultureInfo.InvariantCulture, $"key{i}");

    private static string ValueOf(int i) => string.Create(CultureInfo.InvariantCulture, $"value {i}");
}
