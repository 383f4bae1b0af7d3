using Henge.EndToEnd.Tests.Harness;
using StackExchange.Redis;

namespace Henge.Redis.Tests;

/// <summary>StackExchange.Redis with several endpoints, of which one has joined the cluster and may have no shards.</summary>
public sealed class SeveralEndpointsTests
{
    [Theory]
    [InlineData(RedisProtocol.Resp2)]
    [InlineData(RedisProtocol.Resp3)]
    public async Task Any_node_answers_for_any_key_also_one_that_joined_and_clients_take_none_for_a_Redis_Cluster(RedisProtocol protocol)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromMinutes(3));
        await using ClusterProcesses cluster = new(3, limit.Token);
        await cluster.StartAllAsync();
        string joined = ClusterProcesses.FreeAddress();
        using HengeProcess fourth = HengeProcess.Start(cluster.Joining("n4", joined, "--join", cluster.Addresses[0]));
        string[] addresses = [.. cluster.Addresses, joined];

        await using ConnectionMultiplexer lone = await ConnectAsync(protocol, joined);
        await cluster.UntilAsync("n4 answers, and all nodes know it", async () =>
            addresses.Length == await KnownNodesAsync(lone, joined) && addresses.Length == await KnownNodesAsync(cluster, protocol));
        IDatabase only = lone.GetDatabase();

        // Keys of all shards, from the node that joined; many at once too, which clients of a Redis Cluster would refuse.
        RedisKey[] keys = [.. Enumerable.Range(0, 40).Select(static k => (RedisKey)$"several:{k}")];
        RedisValue[] values = [.. Enumerable.Range(0, 40).Select(static k => (RedisValue)$"value {k}")];
        for (int i = 0; i < keys.Length; i++)
        {
            Assert.True(await only.StringSetAsync(keys[i], values[i]));
        }

        Assert.Equal(values, await only.StringGetAsync(keys));
        Assert.Equal(keys.Length, await only.KeyExistsAsync(keys));

        await using ConnectionMultiplexer all = await ConnectAsync(protocol, addresses);
        foreach (string address in addresses)
        {
            IServer server = all.GetServer(address);
            Assert.True(server.IsConnected);
            Assert.Equal(ServerType.Standalone, server.ServerType);
            Assert.Equal(keys.Length, (await server.KeysAsync(pattern: "several:*").ToListAsync(limit.Token)).Count);
        }

        IDatabase any = all.GetDatabase();
        Assert.Equal(values, await any.StringGetAsync(keys));

        // The node that the client uses dies: it goes on with another one.
        string used = (await any.IdentifyEndpointAsync())!.ToString()!;
        int index = Array.IndexOf(addresses, used);
        Assert.InRange(index, 0, 3);
        if (index == 3)
        {
            fourth.Kill();
        }
        else
        {
            cluster.Kill(index);
        }

        await cluster.UntilAsync("the client goes on", async () =>
        {
            try
            {
                return await any.StringIncrementAsync("several:n") > 0 && Enumerable.SequenceEqual(values, await any.StringGetAsync(keys));
            }
            catch (RedisException)
            {
                return false;
            }
        });
    }

    [Fact]
    public async Task CLUSTER_tells_what_there_is()
    {
        using CancellationTokenSource limit = new(TimeSpan.FromMinutes(3));
        await using ClusterProcesses cluster = new(3, limit.Token);
        await cluster.StartAllAsync();
        await using ConnectionMultiplexer connection = await ConnectAsync(RedisProtocol.Resp2, cluster.Addresses[1]);
        IServer server = connection.GetServer(cluster.Addresses[1]);
        string id = (string)(await server.ExecuteAsync("CLUSTER", "MYID"))!;
        Assert.Matches("^[0-9a-f]{32}00000002$", id);

        string[] lines = (string[])(await server.ExecuteAsync("CLUSTER", "NODES"))!;
        Assert.Equal(3, lines.Length);
        Assert.StartsWith($"{id} {cluster.Addresses[1]}@", lines[1], StringComparison.Ordinal);
        Assert.Contains(",n2 myself,master - 0 0 0 connected", lines[1], StringComparison.Ordinal);
        Assert.All(lines, static l => Assert.EndsWith(" connected", l, StringComparison.Ordinal));

        // On a busy machine a shard may be without a leader for a moment, which is told as it is.
        RedisResult[] shards = [];
        await cluster.UntilAsync("every shard is told with its leader", async () =>
        {
            shards = (RedisResult[])(await server.ExecuteAsync("CLUSTER", "SHARDS"))!;
            return shards.All(static shard => ((RedisResult[])shard.ToDictionary()["nodes"]!).Any(static n =>
                (string)n.ToDictionary()["role"]! == "master"));
        });
        Assert.Equal(ClusterProcesses.Shards, shards.Length);
        foreach (RedisResult shard in shards)
        {
            Dictionary<string, RedisResult> parts = shard.ToDictionary();
            Assert.Empty((RedisResult[])parts["slots"]!);
            Dictionary<string, RedisResult>[] nodes = [.. ((RedisResult[])parts["nodes"]!).Select(static n => n.ToDictionary())];
            Assert.Equal(3, nodes.Length);
            Assert.Single(nodes, static n => (string)n["role"]! == "master");
            Assert.All(nodes, static n => Assert.Equal("online", (string)n["health"]!));
            Assert.Equal(cluster.Addresses.Order(), nodes.Select(static n => $"{n["ip"]}:{n["port"]}").Order());
        }

        string info = (string)(await server.ExecuteAsync("CLUSTER", "INFO"))!;
        Assert.Contains("cluster_enabled:0\r\n", info, StringComparison.Ordinal);
        Assert.Contains("cluster_known_nodes:3\r\n", info, StringComparison.Ordinal);
        Assert.Contains("henge_state:ok\r\n", info, StringComparison.Ordinal);
        Assert.Contains("cluster_enabled:0", (string)(await server.ExecuteAsync("INFO", "cluster"))!, StringComparison.Ordinal);
        foreach (string slots in new[] { "SLOTS", "KEYSLOT a", "COUNTKEYSINSLOT 1", "RESET" })
        {
            RedisServerException refused = await Assert.ThrowsAsync<RedisServerException>(() =>
                server.ExecuteAsync("CLUSTER", [.. slots.Split(' ').Cast<object>()]));
            Assert.StartsWith("ERR This instance has cluster support disabled", refused.Message, StringComparison.Ordinal);
        }

        // A node that is gone is said to be.
        cluster.Kill(2);
        await cluster.UntilAsync("n3 is told as gone", async () =>
            ((string[])(await server.ExecuteAsync("CLUSTER", "NODES"))!)[2].EndsWith("master,fail? - 0 0 0 disconnected",
                StringComparison.Ordinal));
    }

    private static async Task<int> KnownNodesAsync(ConnectionMultiplexer connection, string address) =>
        ((string[])(await connection.GetServer(address).ExecuteAsync("CLUSTER", "NODES"))!).Length;

    private static async Task<int> KnownNodesAsync(ClusterProcesses cluster, RedisProtocol protocol)
    {
        await using ConnectionMultiplexer connection = await ConnectAsync(protocol, cluster.Addresses[2]);
        return await KnownNodesAsync(connection, cluster.Addresses[2]);
    }

    private static Task<ConnectionMultiplexer> ConnectAsync(RedisProtocol protocol, params IEnumerable<string> addresses)
    {
        ConfigurationOptions options = new()
        {
            Protocol = protocol,
            AllowAdmin = true,
            AbortOnConnectFail = false,
            ConnectTimeout = 30_000,
            SyncTimeout = 30_000,
            AsyncTimeout = 30_000,
            ReconnectRetryPolicy = new LinearRetry(200),
        };
        foreach (string address in addresses)
        {
            options.EndPoints.Add(address);
        }

        return ConnectionMultiplexer.ConnectAsync(options);
    }
}
