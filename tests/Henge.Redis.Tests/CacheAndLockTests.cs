using Medallion.Threading.Redis;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.StackExchangeRedis;
using Microsoft.Extensions.Options;
using RedLockNet;
using RedLockNet.SERedis;
using RedLockNet.SERedis.Configuration;
using StackExchange.Redis;

namespace Henge.Redis.Tests;

/// <summary>What is built on StackExchange.Redis: Microsoft's distributed cache, and two libraries of locks.</summary>
public sealed class CacheAndLockTests(ThreeNodes nodes) : IClassFixture<ThreeNodes>
{
    [Fact]
    public async Task The_distributed_cache_sets_gets_refreshes_and_removes()
    {
        using RedisCache one = Cache(0), two = Cache(1);
        CancellationToken cancel = TestContext.Current.CancellationToken;
        await one.SetAsync("plain", [1, 2, 3], cancel);
        Assert.Equal([1, 2, 3], await two.GetAsync("plain", cancel));
        await two.RemoveAsync("plain", cancel);
        Assert.Null(await one.GetAsync("plain", cancel));
        Assert.Null(await one.GetAsync("never", cancel));
    }

    [Fact]
    public async Task The_distributed_cache_keeps_absolute_and_sliding_expiry()
    {
        using RedisCache cache = Cache(2);
        CancellationToken cancel = TestContext.Current.CancellationToken;
        IDatabase database = (await nodes.ConnectAsync()).GetDatabase();
        await cache.SetAsync(
            "absolute",
            [1],
            new DistributedCacheEntryOptions { AbsoluteExpirationRelativeToNow = TimeSpan.FromMinutes(5) },
            cancel);
        Assert.InRange((await database.KeyTimeToLiveAsync("test:absolute"))!.Value, TimeSpan.FromMinutes(4), TimeSpan.FromMinutes(5));
        await cache.SetAsync("sliding", [2], new DistributedCacheEntryOptions { SlidingExpiration = TimeSpan.FromMinutes(5) }, cancel);
        await database.KeyExpireAsync("test:sliding", TimeSpan.FromMinutes(1));
        await cache.RefreshAsync("sliding", cancel);
        Assert.InRange((await database.KeyTimeToLiveAsync("test:sliding"))!.Value, TimeSpan.FromMinutes(4), TimeSpan.FromMinutes(5));
        await database.KeyExpireAsync("test:sliding", TimeSpan.FromMinutes(1));
        Assert.Equal([2], await cache.GetAsync("sliding", cancel));
        Assert.InRange((await database.KeyTimeToLiveAsync("test:sliding"))!.Value, TimeSpan.FromMinutes(4), TimeSpan.FromMinutes(5));
        Assert.Equal(["absexp", "sldexp", "data"], (await database.HashKeysAsync("test:sliding")).Select(static k => k.ToString()));
    }

    [Fact]
    public async Task The_script_of_earlier_distributed_caches_is_known()
    {
        IDatabase database = (await nodes.ConnectAsync(1)).GetDatabase();
        const string Set = """
                redis.call('HSET', KEYS[1], 'absexp', ARGV[1], 'sldexp', ARGV[2], 'data', ARGV[4])
                if ARGV[3] ~= '-1' then
                  redis.call('EXPIRE', KEYS[1], ARGV[3])
                end
                return 1
            """;
        Assert.Equal(1, (int)await database.ScriptEvaluateAsync(Set, ["early"], [-1, -1, 100, "data"]));
        Assert.InRange((await database.KeyTimeToLiveAsync("early"))!.Value, TimeSpan.FromSeconds(50), TimeSpan.FromSeconds(100));
        Assert.Equal(
            1,
            (int)
                await database.ScriptEvaluateAsync(Set.Replace("HSET", "HMSET", StringComparison.Ordinal), ["early2"], [-1, -1, -1, "data"])
        );
        Assert.Null(await database.KeyTimeToLiveAsync("early2"));
        Assert.Equal("data", await database.HashGetAsync("early2", "data"));
    }

    [Fact]
    public async Task RedLock_takes_extends_and_releases()
    {
        ConnectionMultiplexer connection = await nodes.ConnectAsync();
        using RedLockFactory factory = RedLockFactory.Create([new RedLockMultiplexer(connection)]);
        IDatabase database = connection.GetDatabase();
        await using (IRedLock held = await factory.CreateLockAsync("red", TimeSpan.FromSeconds(30)))
        {
            Assert.True(held.IsAcquired);
            await using IRedLock refused = await factory.CreateLockAsync("red", TimeSpan.FromSeconds(30));
            Assert.False(refused.IsAcquired);
        }

        await using IRedLock again = await factory.CreateLockAsync("red", TimeSpan.FromSeconds(30));
        Assert.True(again.IsAcquired);
        Assert.False(await database.KeyExistsAsync("red"), "its keys have a prefix");
    }

    [Fact]
    public async Task RedLocks_script_for_extending_is_known()
    {
        IDatabase database = (await nodes.ConnectAsync(2)).GetDatabase();
        const string Extend = """
            local currentVal = redis.call('get', KEYS[1])
            if (currentVal == false) then
            	return redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2]) and 1 or 0
            elseif (currentVal == ARGV[1]) then
            	return redis.call('pexpire', KEYS[1], ARGV[2])
            else
            	return -1
            end
            """;
        Assert.Equal(1, (int)await database.ScriptEvaluateAsync(Extend, ["extended"], ["me", 60_000]));
        Assert.Equal("me", await database.StringGetAsync("extended"));
        Assert.Equal(1, (int)await database.ScriptEvaluateAsync(Extend, ["extended"], ["me", 600_000]));
        Assert.InRange((await database.KeyTimeToLiveAsync("extended"))!.Value, TimeSpan.FromMinutes(9), TimeSpan.FromMinutes(10));
        Assert.Equal(-1, (int)await database.ScriptEvaluateAsync(Extend, ["extended"], ["you", 60_000]));
    }

    [Fact]
    public async Task DistributedLock_takes_and_releases()
    {
        IDatabase one = (await nodes.ConnectAsync()).GetDatabase(), two = (await nodes.ConnectAsync(1)).GetDatabase();
        CancellationToken cancel = TestContext.Current.CancellationToken;
        RedisDistributedLock first = new("distributed", one), second = new("distributed", two);
        await using (RedisDistributedLockHandle? held = await first.TryAcquireAsync(cancellationToken: cancel))
        {
            Assert.NotNull(held);
            Assert.Null(await second.TryAcquireAsync(cancellationToken: cancel));
        }

        await using RedisDistributedLockHandle? after = await second.TryAcquireAsync(cancellationToken: cancel);
        Assert.NotNull(after);
    }

    private RedisCache Cache(int node) =>
        new(Options.Create(new RedisCacheOptions { ConfigurationOptions = nodes.Options(node), InstanceName = "test:" }));
}
