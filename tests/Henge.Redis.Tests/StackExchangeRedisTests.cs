using StackExchange.Redis;

// Transactions with conditions are the subject here: the advice to use what needs a later server is not wanted.
#pragma warning disable SER301

namespace Henge.Redis.Tests;

/// <summary>StackExchange.Redis, as its users know it.</summary>
public sealed class StackExchangeRedisTests(ThreeNodes nodes) : IClassFixture<ThreeNodes>
{
    [Theory]
    [InlineData(RedisProtocol.Resp2)]
    [InlineData(RedisProtocol.Resp3)]
    public async Task It_connects_and_knows_what_it_is_connected_to(RedisProtocol protocol)
    {
        ConnectionMultiplexer connection = await nodes.ConnectAsync(0, protocol);
        IServer server = connection.GetServer(nodes.AddressOf(0));
        Assert.True(connection.IsConnected);
        Assert.Equal(ServerType.Standalone, server.ServerType);
        Assert.False(server.IsReplica);
        Assert.True(server.Version >= new Version(7, 0));
        Assert.True(await server.PingAsync() > TimeSpan.Zero);
        Assert.Equal("1", Assert.Single(await server.ConfigGetAsync("databases")).Value);
        Assert.Contains(await server.InfoAsync("replication"), static g => g.Any(static p => p is { Key: "role", Value: "master" }));
        Assert.Equal("hello", await server.EchoAsync("hello"));
    }

    [Theory]
    [InlineData(RedisProtocol.Resp2)]
    [InlineData(RedisProtocol.Resp3)]
    public async Task Strings_are_written_on_one_node_and_read_on_another(RedisProtocol protocol)
    {
        IDatabase one = (await nodes.ConnectAsync(0, protocol)).GetDatabase(), two = (await nodes.ConnectAsync(1, protocol)).GetDatabase();
        string key = $"strings:{protocol}";
        Assert.True(await one.StringSetAsync(key, "value", TimeSpan.FromMinutes(5)));
        Assert.Equal("value", await two.StringGetAsync(key));
        Assert.InRange((await two.KeyTimeToLiveAsync(key))!.Value, TimeSpan.FromMinutes(4), TimeSpan.FromMinutes(5));
        Assert.False(await two.StringSetAsync(key, "other", when: When.NotExists));
        Assert.Equal(5, await two.StringAppendAsync(key + ":a", "hello"));
        Assert.Equal("ell", await one.StringGetRangeAsync(key + ":a", 1, 3));
        Assert.Equal(3, await one.StringIncrementAsync(key + ":n", 3));
        Assert.Equal(2, await two.StringDecrementAsync(key + ":n"));
        Assert.Equal("value", await two.StringGetSetAsync(key, "new"));
        Assert.Equal("new", await one.StringGetDeleteAsync(key));
        Assert.True((await one.StringGetAsync(key)).IsNull);
        Assert.False(await one.StringSetBitAsync(key + ":b", 7, true));
        Assert.True(await two.StringGetBitAsync(key + ":b", 7));
        Assert.Equal(1, await two.StringBitCountAsync(key + ":b"));
    }

    [Fact]
    public async Task Hashes_hold_fields_and_are_nothing_else()
    {
        IDatabase one = (await nodes.ConnectAsync(0)).GetDatabase(), two = (await nodes.ConnectAsync(2)).GetDatabase();
        RedisKey key = "hashes";
        await one.HashSetAsync(key, [new HashEntry("a", 1), new HashEntry("b", "two"), new HashEntry("", "no name")]);
        Assert.Equal("two", await two.HashGetAsync(key, "b"));
        Assert.Equal(["1", RedisValue.Null, "no name"], await two.HashGetAsync(key, ["a", "none", ""]));
        Assert.Equal(3, (await two.HashGetAllAsync(key)).Length);
        Assert.Equal(3, await one.HashLengthAsync(key));
        Assert.Equal(42, await one.HashIncrementAsync(key, "a", 41));
        Assert.Equal(1.5, await one.HashIncrementAsync(key, "f", 1.5));
        Assert.False(await one.HashSetAsync(key, "b", "other", When.NotExists));
        Assert.True(await one.HashExistsAsync(key, "b"));
        Assert.Equal(["a", "b", "", "f"], await two.HashKeysAsync(key));
        Assert.Equal(4, await two.HashScanAsync(key, pageSize: 2).CountAsync());
        Assert.Equal(RedisType.Hash, await two.KeyTypeAsync(key));
        RedisServerException error = await Assert.ThrowsAsync<RedisServerException>(() => two.StringGetAsync(key));
        Assert.StartsWith("WRONGTYPE", error.Message, StringComparison.Ordinal);
        Assert.Equal(3, await two.HashDeleteAsync(key, ["a", "b", ""]));
        Assert.True(await one.HashDeleteAsync(key, "f"));
        Assert.False(await one.KeyExistsAsync(key));
    }

    [Fact]
    public async Task Locks_are_taken_extended_and_released_by_their_owner_only()
    {
        IDatabase one = (await nodes.ConnectAsync(0)).GetDatabase(), two = (await nodes.ConnectAsync(1)).GetDatabase();
        RedisKey key = "lock";
        Assert.True(await one.LockTakeAsync(key, "one", TimeSpan.FromMinutes(1)));
        Assert.False(await two.LockTakeAsync(key, "two", TimeSpan.FromMinutes(1)));
        Assert.Equal("one", await two.LockQueryAsync(key));
        Assert.False(await two.LockExtendAsync(key, "two", TimeSpan.FromMinutes(2)));
        Assert.True(await one.LockExtendAsync(key, "one", TimeSpan.FromMinutes(2)));
        Assert.InRange((await two.KeyTimeToLiveAsync(key))!.Value, TimeSpan.FromSeconds(90), TimeSpan.FromMinutes(2));
        Assert.False(await two.LockReleaseAsync(key, "two"));
        Assert.True(await one.LockReleaseAsync(key, "one"));
        Assert.True(await two.LockTakeAsync(key, "two", TimeSpan.FromMinutes(1)));
    }

    [Fact]
    public async Task Transactions_keep_their_conditions()
    {
        IDatabase database = (await nodes.ConnectAsync(1)).GetDatabase();
        RedisKey key = "{transaction}:a", other = "{transaction}:b";
        ITransaction first = database.CreateTransaction();
        first.AddCondition(Condition.KeyNotExists(key));
        Task<bool> set = first.StringSetAsync(key, "1");
        Task<bool> hash = first.HashSetAsync(other, "f", "v");
        Assert.True(await first.ExecuteAsync());
        Assert.True(await set);
        Assert.True(await hash);
        ITransaction second = database.CreateTransaction();
        second.AddCondition(Condition.StringEqual(key, "2"));
        Task<bool> never = second.StringSetAsync(key, "3");
        Assert.False(await second.ExecuteAsync());
        await Assert.ThrowsAsync<TaskCanceledException>(() => never);
        ITransaction third = database.CreateTransaction();
        third.AddCondition(Condition.HashEqual(other, "f", "v"));
        third.AddCondition(Condition.StringEqual(key, "1"));
        Task<long> number = third.StringIncrementAsync(key);
        Assert.True(await third.ExecuteAsync());
        Assert.Equal(2, await number);
    }

    [Fact]
    public async Task A_server_lists_its_keys_and_says_how_many_there_are()
    {
        ConnectionMultiplexer connection = await nodes.ConnectAsync();
        IDatabase database = connection.GetDatabase();
        IServer server = connection.GetServer(nodes.AddressOf(0));
        for (int i = 0; i < 50; i++)
        {
            await database.StringSetAsync($"listed:{i}", i);
        }

        List<RedisKey> keys = [];
        await foreach (RedisKey key in server.KeysAsync(pattern: "listed:*", pageSize: 7))
        {
            keys.Add(key);
        }

        Assert.Equal(50, keys.Distinct().Count());
        Assert.True(await server.DatabaseSizeAsync() >= 50);
    }

    [Fact]
    public async Task Keys_are_renamed_copied_touched_and_expire()
    {
        IDatabase database = (await nodes.ConnectAsync(2)).GetDatabase();
        await database.StringSetAsync("{names}:a", "1", TimeSpan.FromMinutes(1));
        Assert.True(await database.KeyRenameAsync("{names}:a", "{names}:b"));
        Assert.True(await database.KeyCopyAsync("{names}:b", "{names}:c"));
        Assert.Equal(2, await database.KeyTouchAsync(["{names}:b", "{names}:c", "{names}:none"]));
        DateTime at = (await database.KeyExpireTimeAsync("{names}:c"))!.Value;
        Assert.InRange(at, DateTime.UtcNow, DateTime.UtcNow.AddMinutes(2));
        Assert.True(await database.KeyPersistAsync("{names}:c"));
        Assert.Null(await database.KeyTimeToLiveAsync("{names}:c"));
        Assert.True(await database.KeyExpireAsync("{names}:c", DateTime.UtcNow.AddMinutes(-1)));
        Assert.False(await database.KeyExistsAsync("{names}:c"));
    }

    [Fact]
    public async Task Key_events_come_for_names_that_are_not_text()
    {
        ISubscriber subscriber = (await nodes.ConnectAsync(0)).GetSubscriber();
        IDatabase database = (await nodes.ConnectAsync(1)).GetDatabase();
        byte[] key = [(byte)'e', 0xFF], channel = [.. "__keyspace@0__:"u8, .. key];
        ChannelMessageQueue events = await subscriber.SubscribeAsync(RedisChannel.Literal(channel));
        await database.StringSetAsync(key, "v");
        ChannelMessage message = await events.ReadAsync(TestContext.Current.CancellationToken);
        Assert.Equal(channel, (byte[]?)message.Channel);
        Assert.Equal("set", message.Message);
    }

    [Fact]
    public async Task A_transaction_counts_the_keys_of_its_own_moment_while_others_write()
    {
        // Nodes of its own: all keys are counted.
        await using ThreeNodes own = new();
        await own.InitializeAsync();
        IDatabase mover = (await own.ConnectAsync(1)).GetDatabase(),
            database = (await own.ConnectAsync(0)).GetDatabase(),
            elsewhere = (await own.ConnectAsync(2)).GetDatabase();
        using CancellationTokenSource enough = new();

        // Always one key: it is moved from one name to the other.
        await mover.StringSetAsync("{m}a", "v");
        Task moving = Task.Run(async () =>
        {
            for (int i = 0; !enough.IsCancellationRequested; i++)
            {
                ITransaction move = mover.CreateTransaction();
                _ = move.KeyDeleteAsync(i % 2 == 0 ? "{m}a" : "{m}b");
                _ = move.StringSetAsync(i % 2 == 0 ? "{m}b" : "{m}a", "v");
                Assert.True(await move.ExecuteAsync());
            }
        }, TestContext.Current.CancellationToken);
        for (int i = 0; i < 100; i++)
        {
            // Acknowledged on another node and in some other shard: it is counted.
            await elsewhere.StringSetAsync($"key:{i}", "v");
            ITransaction transaction = database.CreateTransaction();
            Task<RedisResult> before = transaction.ExecuteAsync("DBSIZE");
            Task<bool> set = transaction.StringSetAsync($"txn:{i}", "v");
            Task<RedisResult> after = transaction.ExecuteAsync("DBSIZE");
            Assert.True(await transaction.ExecuteAsync());
            Assert.True(await set);
            Assert.Equal(((2 * i) + 2, (2 * i) + 3), ((int)await before, (int)await after));
        }

        await enough.CancelAsync();
        await moving;
    }

    [Fact]
    public async Task Scripts_that_are_not_known_get_an_error_that_says_so()
    {
        IDatabase database = (await nodes.ConnectAsync()).GetDatabase();
        RedisServerException error = await Assert.ThrowsAsync<RedisServerException>(() => database.ScriptEvaluateAsync("return 1 + 1"));
        Assert.Contains("docs/protocol.md", error.Message, StringComparison.Ordinal);
        await database.StringSetAsync("scripted", "mine");
        const string Release =
            "if redis.call(\"GET\", KEYS[1]) == ARGV[1] then\n  return redis.call(\"DEL\", KEYS[1]) -- ours\nelse\n  return 0\nend";
        Assert.Equal(0, (int)await database.ScriptEvaluateAsync(Release, ["scripted"], ["theirs"]));
        Assert.Equal(1, (int)await database.ScriptEvaluateAsync(Release, ["scripted"], ["mine"]));
    }
}
