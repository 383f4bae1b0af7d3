using System.Globalization;
using Henge.Client;
using Henge.EndToEnd.Tests.Harness;
using Wire = Henge.Protocol.V1;

namespace Henge.EndToEnd.Tests;

/// <summary>One client that lives on while its cluster changes.</summary>
public sealed class ClientTests
{
    [Fact]
    public async Task A_client_that_knows_one_address_works_on_without_an_error_while_nodes_join_leaders_move_and_its_node_dies()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(3, limit.Token);
        await cluster.StartAllAsync();
        using HengeClient client = cluster.Client(new HengeClientOptions(), 0);
        using CancellationTokenSource enough = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
        long done = 0;
        Task[] load = [.. Enumerable.Range(0, 4).Select(w => WorkAsync(client, w, () => Interlocked.Increment(ref done), enough.Token))];
        await GoesOnAsync();

        // A node that was not there when the client was made is asked by it.
        string joined = ClusterProcesses.FreeAddress();
        using HengeProcess fourth = HengeProcess.Start(cluster.Joining("n4", joined, "--join", cluster.Addresses[1]));
        await cluster.UntilAsync("the client asks n4", async () =>
        {
            Assert.False(fourth.HasExited, fourth.Printed);
            return (await client.NodeStatusAsync(cancellationToken: limit.Token)).NodeId == "n4";
        });
        await GoesOnAsync();

        // Leaders move, all of them, and again.
        for (int round = 0; round < 2; round++)
        {
            await EveryShardGetsAnotherLeaderAsync(cluster, client, limit.Token);
            await GoesOnAsync();
        }

        // The only node that the client was told of dies, and is one of three: the client has the others.
        cluster.Kill(0);
        await GoesOnAsync();
        await enough.CancelAsync();
        await Task.WhenAll(load);

        Task GoesOnAsync()
        {
            long before = Interlocked.Read(ref done);
            return cluster.UntilAsync("the load goes on", () =>
            {
                // An error to the caller ends the test.
                Task? failed = load.FirstOrDefault(static t => t.IsFaulted);
                failed?.GetAwaiter().GetResult();
                return Task.FromResult(Interlocked.Read(ref done) >= before + 200);
            });
        }
    }

    private static async Task EveryShardGetsAnotherLeaderAsync(ClusterProcesses cluster, HengeClient client, CancellationToken cancel)
    {
        Wire.TopologyResponse before = await client.TopologyAsync(cluster.Addresses[1], cancel);
        await cluster.UntilAsync("all shards have later leaders", async () =>
        {
            Wire.TopologyResponse now = await client.TopologyAsync(cluster.Addresses[1], cancel);
            foreach (Wire.ShardInfo shard in now.Shards.Where(s => s.Term <= before.Shards[(int)s.Shard].Term))
            {
                if (now.Nodes.FirstOrDefault(n => n.NodeId == shard.LeaderId) is { } leader)
                {
                    // Refused while the other one is too far behind; then it is asked again.
                    await client.TransferLeaderAsync(
                        leader.Address,
                        shard.Replicas.First(r => r != shard.LeaderId),
                        [(int)shard.Shard],
                        cancel);
                }
            }

            return now.Shards.All(s => s.Term > before.Shards[(int)s.Shard].Term && s.LeaderId.Length > 0);
        });
    }

    private static async Task WorkAsync(HengeClient client, int worker, Action onDone, CancellationToken cancel)
    {
        for (int i = 0; !cancel.IsCancellationRequested; i++)
        {
            string key = string.Create(CultureInfo.InvariantCulture, $"w{worker}:{i % 50}");
            string value = i.ToString(CultureInfo.InvariantCulture);
            Assert.True((await client.PutAsync(key, value, cancellationToken: CancellationToken.None)).Succeeded);
            Assert.Equal(value, (await client.GetAsync(key, cancellationToken: CancellationToken.None)).Text);
            onDone();
        }
    }
}
