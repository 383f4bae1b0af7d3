using System.Collections.Concurrent;
using System.Globalization;
using Henge.Client;
using Henge.Core;
using Henge.EndToEnd.Tests.Harness;

namespace Henge.EndToEnd.Tests;

/// <summary>One process, killed in the middle of its work.</summary>
public sealed class CrashTests
{
    private const int Writers = 8;

    [Theory]
    [InlineData("lsm")]
    [InlineData("memory")]
    [InlineData("rocksdb")]
    public async Task Every_write_that_was_acknowledged_outlives_a_kill(string engine)
    {
        using CancellationTokenSource limit = Rounds.Limit();

        // So little memory that what was flushed, and what is in the log alone, both count.
        await using ClusterProcesses node = new(1, limit.Token) { Settings = ["--engine", engine], Memory = "16MiB" };
        int seed = Random.Shared.Next();
        TestContext.Current.TestOutputHelper!.WriteLine($"seed {seed}");
        Random random = new(seed);
        ConcurrentDictionary<string, ulong> acknowledged = new();
        for (int round = 0; round < Rounds.Count; round++)
        {
            await node.StartAllAsync();
            await CheckAsync(node, acknowledged, limit.Token);
            int before = acknowledged.Count;
            using CancellationTokenSource killed = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
            Task[] writers = [.. Enumerable.Range(0, Writers).Select(w => WriteAsync(node, $"w{w}:r{round}", acknowledged, killed.Token))];
            int enough = random.Next(20, 400);
            await node.UntilAsync("enough has been written", () => Task.FromResult(acknowledged.Count - before >= enough));
            node.Kill(0);
            await killed.CancelAsync();
            await Task.WhenAll(writers);
            TestContext.Current.TestOutputHelper.WriteLine(
                $"round {round}: killed after {acknowledged.Count - before} acknowledged writes");
        }

        await node.StartAllAsync();
        await CheckAsync(node, acknowledged, limit.Token);
    }

    private static async Task WriteAsync(
        ClusterProcesses node,
        string name,
        ConcurrentDictionary<string, ulong> acknowledged,
        CancellationToken cancel)
    {
        using HengeClient client = node.Client();
        for (int sequence = 0; !cancel.IsCancellationRequested; sequence++)
        {
            string key = string.Create(CultureInfo.InvariantCulture, $"{name}:{sequence}");
            try
            {
                PutResult put = await client.PutAsync(key, "value of " + key, cancellationToken: cancel);
                acknowledged[key] = put.Version.Value;
            }
            catch (Exception e) when (e is OperationCanceledException or UnavailableException or UnknownOutcomeException)
            {
                // The node is dead.
                continue;
            }
        }
    }

    private static async Task CheckAsync(ClusterProcesses node, ConcurrentDictionary<string, ulong> acknowledged, CancellationToken cancel)
    {
        using HengeClient client = node.Client();
        Dictionary<string, (ulong Version, string Value)> found = [];
        await foreach (KeyValue pair in client.ScanAsync(cancellationToken: cancel))
        {
            found.Add(pair.KeyText, (pair.Version.Value, pair.ValueText));
        }

        foreach ((string key, ulong version) in acknowledged)
        {
            Assert.True(found.TryGetValue(key, out (ulong Version, string Value) kept), $"{key}, acknowledged at {version}, is lost");
            Assert.Equal((version, "value of " + key), kept);
        }
    }
}
