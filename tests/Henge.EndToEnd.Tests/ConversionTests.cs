using System.Globalization;
using System.Text.Json;
using Henge.Client;
using Henge.EndToEnd.Tests.Harness;

namespace Henge.EndToEnd.Tests;

/// <summary>A node's data goes from one engine to another and back, between its runs.</summary>
public sealed class ConversionTests
{
    [Fact]
    public async Task A_node_has_the_same_data_and_history_in_another_engine()
    {
        using CancellationTokenSource limit = Rounds.Limit(2);
        await using ClusterProcesses node = new(1, limit.Token) { Settings = ["--engine", "lsm"], Memory = "16MiB" };
        await node.StartAllAsync();
        using (HengeClient client = node.Client())
        {
            // Enough for tables; a part stays in the log alone.
            string large = new('x', 4_000);
            for (int i = 0; i < 2_000; i++)
            {
                await client.PutAsync(Key(i % 1_500), $"{i} {large}", cancellationToken: limit.Token);
            }

            await client.DeleteAsync(Key(3), cancellationToken: limit.Token);
        }

        (List<string> Data, List<string> History) before = await ReadAsync(node, limit.Token);
        Assert.Equal(1_499, before.Data.Count);
        Assert.Equal(3, before.History.Count);
        node.Kill(0);

        string directory = node.DataDirectory(0);
        Assert.True(await ConvertAsync("lsm", "rocksdb", directory) > 0, "nothing of it was in tables");
        node.Settings = ["--engine", "rocksdb"];
        await node.StartAllAsync();
        (List<string> data, List<string> history) = await ReadAsync(node, limit.Token);
        Assert.Equal(before.Data, data);
        Assert.Equal(before.History, history);
        using (HengeClient client = node.Client())
        {
            await client.PutAsync("later", "value", cancellationToken: limit.Token);
        }

        node.Kill(0);
        (int refused, string why) = await RunAsync("lsm", "rocksdb", directory, limit.Token);
        Assert.Equal(5, refused);
        Assert.Contains("made with the engine rocksdb", why, StringComparison.Ordinal);
        Assert.True(await ConvertAsync("rocksdb", "lsm", directory) > 0);
        node.Settings = ["--engine", "lsm"];
        await node.StartAllAsync();
        (data, history) = await ReadAsync(node, limit.Token);
        Assert.Equal(before.History, history);
        Assert.Equal(before.Data, data.Where(static d => !d.StartsWith("later", StringComparison.Ordinal)));
        Assert.Equal(before.Data.Count + 1, data.Count);

        async Task<long> ConvertAsync(string from, string to, string at)
        {
            (int code, string printed) = await RunAsync(from, to, at, limit.Token);
            Assert.True(code == 0, printed);
            using JsonDocument json = JsonDocument.Parse(printed.Split('\n').Single(static l => l.StartsWith('{')));
            return json.RootElement.GetProperty("entries").GetInt64();
        }
    }

    private static async Task<(int Code, string Printed)> RunAsync(string from, string to, string directory, CancellationToken cancel)
    {
        using HengeProcess process = HengeProcess.Start(
            "storage", "convert", "--from", from, "--to", to, "--output", "json", directory);
        return (await process.WaitForExitAsync(cancel), process.Printed);
    }

    private static string Key(int i) => string.Create(CultureInfo.InvariantCulture, $"key:{i:0000}");

    private static async Task<(List<string> Data, List<string> History)> ReadAsync(ClusterProcesses node, CancellationToken cancel)
    {
        using HengeClient client = node.Client();
        List<string> data = [];
        await foreach (KeyValue pair in client.ScanAsync(cancellationToken: cancel))
        {
            data.Add($"{pair.KeyText} {pair.Version.Value} {pair.ValueText}");
        }

        List<string> history = [];
        await foreach (HistoryEntry entry in client.HistoryAsync(Key(3), cancellationToken: cancel))
        {
            history.Add($"{entry.Version.Value} {entry.Deleted} {entry.ValueText}");
        }

        return (data, history);
    }
}
