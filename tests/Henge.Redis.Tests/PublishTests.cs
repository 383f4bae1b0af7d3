using System.Collections.Concurrent;
using StackExchange.Redis;

namespace Henge.Redis.Tests;

/// <summary>Publishing between clients of different nodes, as users of StackExchange.Redis know it.</summary>
public sealed class PublishTests(ThreeNodes nodes) : IClassFixture<ThreeNodes>
{
    [Theory]
    [InlineData(RedisProtocol.Resp2)]
    [InlineData(RedisProtocol.Resp3)]
    public async Task What_is_published_on_one_node_reaches_subscribers_of_all_nodes_in_order(RedisProtocol protocol)
    {
        RedisChannel channel = RedisChannel.Literal($"all:{protocol}"),
            pattern = RedisChannel.Pattern($"all:{protocol}*");
        ISubscriber[] subscribers =
        [
            .. await Task.WhenAll(Enumerable.Range(0, 3).Select(async n => (await nodes.ConnectAsync(n, protocol)).GetSubscriber())),
        ];
        ChannelMessageQueue[] literal = [.. await Task.WhenAll(subscribers.Select(s => s.SubscribeAsync(channel)))];
        ChannelMessageQueue patterned = await subscribers[0].SubscribeAsync(pattern);
        ISubscriber publisher = (await nodes.ConnectAsync(1, protocol)).GetSubscriber();

        // The subscription of node 2 by its name; those of other nodes are not counted.
        Assert.Equal(1, await publisher.PublishAsync(channel, "0"));
        await Task.WhenAll(Enumerable.Range(1, 500).Select(i => publisher.PublishAsync(channel, i)));
        foreach (ChannelMessageQueue queue in (ChannelMessageQueue[])[.. literal, patterned])
        {
            for (int i = 0; i <= 500; i++)
            {
                ChannelMessage message = await queue.ReadAsync(TestContext.Current.CancellationToken);
                Assert.Equal(i, (int)message.Message);
                Assert.Equal(channel, message.Channel);
            }
        }

        await literal[0].UnsubscribeAsync();
        await publisher.PublishAsync(channel, "last");
        Assert.Equal("last", (await patterned.ReadAsync(TestContext.Current.CancellationToken)).Message);
        Assert.Equal("last", (await literal[2].ReadAsync(TestContext.Current.CancellationToken)).Message);
    }

    [Fact]
    public async Task A_transaction_publishes_when_it_is_done()
    {
        ChannelMessageQueue queue = await (await nodes.ConnectAsync(2)).GetSubscriber().SubscribeAsync(RedisChannel.Literal("txn"));
        ITransaction transaction = (await nodes.ConnectAsync(0)).GetDatabase().CreateTransaction();
        Task<bool> set = transaction.StringSetAsync("txn", "v");
        Task<long> publish = transaction.PublishAsync(RedisChannel.Literal("txn"), "done");
        Assert.True(await transaction.ExecuteAsync());
        Assert.True(await set);
        Assert.Equal(0, await publish);
        Assert.Equal("done", (await queue.ReadAsync(TestContext.Current.CancellationToken)).Message);
    }

    [Fact]
    public async Task A_node_that_was_killed_and_came_back_publishes_and_delivers_again()
    {
        // Nodes of its own: other tests need theirs.
        await using ThreeNodes own = new();
        await own.InitializeAsync();
        ISubscriber one = (await own.ConnectAsync(0)).GetSubscriber(),
            three = (await own.ConnectAsync(2)).GetSubscriber(),
            two = (await own.ConnectAsync(1)).GetSubscriber();
        RedisChannel channel = RedisChannel.Literal("back");
        ConcurrentDictionary<string, byte> atOne = new(), atThree = new();
        await one.SubscribeAsync(channel, (_, m) => atOne[m.ToString()] = 1);
        await three.SubscribeAsync(channel, (_, m) => atThree[m.ToString()] = 1);

        await UntilHeardAsync(own, two, channel, "before", atOne, atThree);
        own.Cluster.Kill(2);
        await UntilHeardAsync(own, two, channel, "while", atOne);
        own.Cluster.Start(2);
        await own.Cluster.WaitReadyAsync(2);

        // At most once: what is published before the connections stand again is lost, so it is published again and again, each time as
        // another message.
        await UntilHeardAsync(own, two, channel, "after", atOne, atThree);
        own.Cluster.Kill(1);
        await UntilHeardAsync(own, one, channel, "from one", atOne, atThree);
        own.Cluster.Start(1);
        await own.Cluster.WaitReadyAsync(1);
        await UntilHeardAsync(own, two, channel, "from two", atOne, atThree);
    }

    private static Task UntilHeardAsync(
        ThreeNodes own,
        ISubscriber publisher,
        RedisChannel channel,
        string text,
        params ConcurrentDictionary<string, byte>[] heard)
    {
        int sent = 0;
        return own.Cluster.UntilAsync($"'{text}' is heard", async () =>
        {
            try
            {
                await publisher.PublishAsync(channel, $"{text} {sent++}");
            }
            catch (RedisException)
            {
                // Its own connection is not back yet.
                return false;
            }

            return heard.All(h => h.Keys.Any(k => k.StartsWith(text, StringComparison.Ordinal)));
        });
    }
}
