using System.Globalization;
using Henge.Client;

namespace Henge.EndToEnd.Tests.Harness;

/// <summary>Clients that work until they are told to stop, and whose every operation is recorded.</summary>
public static class Load
{
    /// <summary>Keys of one shard, so that one leader's trouble concerns every client.</summary>
    public static IReadOnlyList<string> Keys { get; } =
    [.. Enumerable.Range(0, 8).Select(static k => string.Create(CultureInfo.InvariantCulture, $"{{e2e}}:{k}"))];

    /// <summary>Keys over all shards.</summary>
    public static IReadOnlyList<string> SpreadKeys { get; } =
    [.. Enumerable.Range(0, 24).Select(static k => string.Create(CultureInfo.InvariantCulture, $"spread:{k}"))];

    /// <summary>Some clients that write and read keys of all shards, whatever happens to the nodes that they know of.</summary>
    /// <param name="cluster">Which cluster.</param>
    /// <param name="recorder">Gets all that they do.</param>
    /// <param name="clients">How many.</param>
    /// <param name="deadline">How long a client tries before its caller is told of an error.</param>
    /// <param name="cancel">Ends it.</param>
    public static Task SpreadAsync(
        ClusterProcesses cluster,
        Recorder recorder,
        int clients,
        TimeSpan deadline,
        CancellationToken cancel) =>
        Task.WhenAll(Enumerable.Range(0, clients).Select(number => MixedAsync(
            cluster,
            recorder,
            number,
            new HengeClientOptions { DefaultDeadline = deadline },
            [.. cluster.All],
            static () => { },
            cancel,
            SpreadKeys)));

    /// <summary>Writes and reads all keys, wherever their leader is.</summary>
    public static Task MixedAsync(ClusterProcesses cluster, Recorder recorder, int number, CancellationToken cancel) =>
        MixedAsync(cluster, recorder, number, new HengeClientOptions(), [.. cluster.All], static () => { }, cancel);

    /// <summary>Writes and reads keys by way of some nodes, and says when a write was acknowledged.</summary>
    public static async Task MixedAsync(
        ClusterProcesses cluster,
        Recorder recorder,
        int number,
        HengeClientOptions options,
        int[] nodes,
        Action onAcknowledged,
        CancellationToken cancel,
        IReadOnlyList<string>? keys = null)
    {
        keys ??= Keys;
        Random random = new(number);
        using HengeClient client = cluster.Client(options, nodes);
        using PeriodicTimer pace = Pace();
        while (await TickAsync(pace, cancel))
        {
            string key = keys[random.Next(keys.Count)];
            if (random.Next(2) != 0)
            {
                await recorder.GetAsync(client, number, key, ReadConsistency.Linearizable, cancel);
            }
            else if (await recorder.PutAsync(client, number, key, cancel))
            {
                onAcknowledged();
            }
        }
    }

    /// <summary>The checker's work grows with the square of a history's length: a few hundred operations a second are plenty.</summary>
    public static PeriodicTimer Pace() => new(TimeSpan.FromMilliseconds(10));

    /// <summary>Waits for the next turn; false when there is none.</summary>
    public static async Task<bool> TickAsync(PeriodicTimer pace, CancellationToken cancel)
    {
        try
        {
            return await pace.WaitForNextTickAsync(cancel);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
