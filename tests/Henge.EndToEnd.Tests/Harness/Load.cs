using System.Globalization;
using Henge.Client;

namespace Henge.EndToEnd.Tests.Harness;

/// <summary>Clients that work until they are told to stop, and whose every operation is recorded.</summary>
public static class Load
{
    /// <summary>Keys of one shard, so that one leader's trouble concerns every client.</summary>
    public static IReadOnlyList<string> Keys { get; } =
    [.. Enumerable.Range(0, 8).Select(static k => string.Create(CultureInfo.InvariantCulture, $"{{e2e}}:{k}"))];

    /// <summary>Writes and reads all keys, wherever their leader is.</summary>
    public static Task MixedAsync(ClusterProcesses cluster, Recorder recorder, int number, CancellationToken cancel) =>
        MixedAsync(cluster, recorder, number, new HengeClientOptions(), [.. cluster.All], static () => { }, cancel);

    /// <summary>Writes and reads all keys by way of some nodes, and says when a write was acknowledged.</summary>
    public static async Task MixedAsync(
        ClusterProcesses cluster,
        Recorder recorder,
        int number,
        HengeClientOptions options,
        int[] nodes,
        Action onAcknowledged,
        CancellationToken cancel)
    {
        Random random = new(number);
        using HengeClient client = cluster.Client(options, nodes);
        using PeriodicTimer pace = Pace();
        while (await TickAsync(pace, cancel))
        {
            string key = Keys[random.Next(Keys.Count)];
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
