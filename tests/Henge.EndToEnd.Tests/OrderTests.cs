using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Henge.Client;
using Henge.Core;
using Henge.EndToEnd.Tests.Harness;

namespace Henge.EndToEnd.Tests;

/// <summary>Real processes whose leaders are killed, and clients that do not wait for answers.</summary>
public sealed class OrderTests
{
    private const int Writers = 3;
    private const int Depth = 8;

    [Fact]
    public async Task Writes_sent_without_waiting_keep_their_order_while_leaders_are_killed()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(3, limit.Token);
        await cluster.StartAllAsync();
        using CancellationTokenSource enough = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
        ConcurrentDictionary<string, long> acknowledged = [];
        ConcurrentDictionary<string, bool> keys = [];
        List<Task> writers = [];
        for (int w = 0; w < Writers; w++)
        {
            int number = w;
            keys[$"{{order}}:sdk:{number}"] = true;
            writers.Add(Task.Run(() => BySdkAsync(cluster, $"{{order}}:sdk:{number}", acknowledged, enough.Token), limit.Token));
            writers.Add(Task.Run(() => ByRespAsync(cluster, $"{{order}}:resp:{number}", acknowledged, keys, enough.Token), limit.Token));
        }

        for (int round = 0; round < Rounds.Count; round++)
        {
            Dictionary<string, long> before = new(acknowledged);
            await cluster.UntilAsync("every writer gets on", () => Task.FromResult(
                acknowledged.Count == 2 * Writers && acknowledged.All(a => a.Value >= before.GetValueOrDefault(a.Key) + 50)));
            int leader = await cluster.LeaderAsync("{order}");
            cluster.Kill(leader);
            await cluster.LeaderAsync("{order}", [.. cluster.All.Where(n => n != leader)]);
            cluster.Start(leader);
            await cluster.WaitReadyAsync(cluster.All);
        }

        await enough.CancelAsync();
        await Task.WhenAll(writers);
        using HengeClient client = cluster.Client();
        long versions = 0;
        foreach (string key in keys.Keys)
        {
            List<long> values = [];
            await foreach (HistoryEntry entry in client.HistoryAsync(key, cancellationToken: limit.Token))
            {
                values.Add(long.Parse(Encoding.UTF8.GetString(entry.Value.Span), CultureInfo.InvariantCulture));
            }

            values.Reverse();
            // Each value is written once and is higher than those before it.
            Assert.Equal(values.Order().Distinct(), values);
            versions += values.Count;
        }

        TestContext.Current.TestOutputHelper!.WriteLine(
            string.Create(CultureInfo.InvariantCulture, $"{versions} versions of {keys.Count} keys stand in order"));
    }

    [Fact]
    public async Task A_command_without_a_majority_says_that_nothing_was_done()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(3, limit.Token);
        await cluster.StartAllAsync();
        cluster.Kill(1, 2);
        await cluster.UntilAsync("the one that is left knows that it cannot serve", async () => !await cluster.IsReadyAsync(0));

        // A machine that is so slow that a whole third of a second is not enough for an answer leaves a real doubt: then it is tried again.
        string peers = string.Join(',', cluster.Addresses);
        await cluster.UntilAsync("a put of a second ends as unavailable", async () =>
        {
            using HengeProcess put = HengeProcess.Start("put", "refused", "never", "--peers", peers, "--timeout", "1s");
            return await put.WaitForExitAsync(limit.Token) == 3;
        });
    }

    /// <summary>
    /// Calls writes one behind the other, some of them under way at a time, and reads now and then what it has just written.
    /// </summary>
    private static async Task BySdkAsync(
        ClusterProcesses cluster,
        string key,
        ConcurrentDictionary<string, long> acknowledged,
        CancellationToken cancel)
    {
        using HengeClient client = cluster.Client();
        Queue<Task> underWay = [];
        long value = 0;
        while (!cancel.IsCancellationRequested)
        {
            long mine = ++value;
            underWay.Enqueue(PutAsync(client, key, mine, acknowledged));
            if (mine % 10 == 0)
            {
                underWay.Enqueue(ReadAsync(client, key, mine, acknowledged));
            }

            while (underWay.Count > Depth)
            {
                await underWay.Dequeue();
            }
        }

        await Task.WhenAll(underWay);
    }

    private static async Task PutAsync(HengeClient client, string key, long value, ConcurrentDictionary<string, long> acknowledged)
    {
        try
        {
            await client.PutAsync(key, value.ToString(CultureInfo.InvariantCulture));
            acknowledged[key] = value;
        }
        catch (HengeException)
        {
            // Without a leader in time: it has no place in the order, or its own.
            await Task.Yield();
        }
    }

    private static async Task ReadAsync(HengeClient client, string key, long value, ConcurrentDictionary<string, long> acknowledged)
    {
        GetResult read;
        try
        {
            read = await client.GetAsync(key);
        }
        catch (HengeException)
        {
            return;
        }

        // The write that was called before it may have failed; then the last acknowledged one is the least that it sees.
        long least = Math.Min(value, acknowledged.GetValueOrDefault(key));
        Assert.True(long.Parse(read.Text!, CultureInfo.InvariantCulture) >= least, $"{key}: {read.Text} was read behind {least}");
    }

    /// <summary>Pipelines SET over a connection, to another node whenever it breaks; each connection has a key of its own.</summary>
    private static async Task ByRespAsync(
        ClusterProcesses cluster,
        string writer,
        ConcurrentDictionary<string, long> acknowledged,
        ConcurrentDictionary<string, bool> keys,
        CancellationToken cancel)
    {
        long value = 0;
        for (int turn = 0; !cancel.IsCancellationRequested; turn++)
        {
            string key = string.Create(CultureInfo.InvariantCulture, $"{writer}:{turn}");
            string[] address = cluster.Addresses[turn % cluster.Addresses.Count].Split(':');
            try
            {
                using TcpClient connection = new() { NoDelay = true };
                await connection.ConnectAsync(address[0], int.Parse(address[1], CultureInfo.InvariantCulture), cancel);
                keys[key] = true;
                using NetworkStream stream = connection.GetStream();
                using StreamReader replies = new(stream);
                while (!cancel.IsCancellationRequested)
                {
                    StringBuilder batch = new();
                    for (int i = 0; i < Depth; i++)
                    {
                        batch.Append(CultureInfo.InvariantCulture, $"SET {key} {++value}\r\n");
                    }

                    batch.Append(CultureInfo.InvariantCulture, $"GET {key}\r\n");
                    await stream.WriteAsync(Encoding.ASCII.GetBytes(batch.ToString()), cancel);
                    long done = 0;
                    for (int i = Depth - 1; i >= 0; i--)
                    {
                        done = await replies.ReadLineAsync(cancel) switch
                        {
                            "+OK" => value - i,
                            null => throw new IOException("The connection was closed."),
                            _ => done,
                        };
                    }

                    string? head = await replies.ReadLineAsync(cancel);
                    if (head is ['$', not '-', ..])
                    {
                        long read = long.Parse((await replies.ReadLineAsync(cancel))!, CultureInfo.InvariantCulture);
                        Assert.True(read >= done, $"{key}: {read} was read behind {done}");
                    }

                    if (done > 0)
                    {
                        acknowledged[writer] = done;
                    }
                }
            }
            catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
            {
                // A write whose connection broke may still be on its way, and another connection has no order with it: the next one writes
                // another key.
                await Task.Yield();
            }
        }
    }
}
