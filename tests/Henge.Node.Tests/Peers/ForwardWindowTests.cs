using Henge.Core;
using Henge.Node.Peers;
using Henge.Node.Workers;

namespace Henge.Node.Tests.Peers;

public sealed class ForwardWindowTests
{
    private const ulong Stream = 7UL << ForwardWindow.CounterBits;
    private static readonly ShardId Shard = new(0);

    [Fact]
    public void Each_number_is_taken_once_in_whatever_order_it_comes()
    {
        var window = new ForwardWindow();
        var random = new Random(1);
        ulong[] numbers = [.. Enumerable.Range(1, 30_000).Select(i => Stream + (ulong)i).OrderBy(_ => random.Next())];
        Assert.All(numbers, n => Assert.NotEqual(ForwardOrder.Repeated, window.Take(new NodeId(1), n, Shard)));
        Assert.All(numbers, n => Assert.Equal(ForwardOrder.Repeated, window.Take(new NodeId(1), n, Shard)));
    }

    [Fact]
    public void Senders_and_their_starts_do_not_disturb_each_other()
    {
        var window = new ForwardWindow();
        Assert.NotEqual(ForwardOrder.Repeated, window.Take(new NodeId(1), Stream + 5, Shard));
        Assert.NotEqual(ForwardOrder.Repeated, window.Take(new NodeId(2), Stream + 5, Shard));
        Assert.NotEqual(ForwardOrder.Repeated, window.Take(new NodeId(1), (8UL << ForwardWindow.CounterBits) + 5, Shard));
        Assert.Equal(ForwardOrder.Repeated, window.Take(new NodeId(1), Stream + 5, Shard));
    }

    [Fact]
    public void What_is_older_than_the_window_counts_as_repeated()
    {
        var window = new ForwardWindow();
        Assert.NotEqual(ForwardOrder.Repeated, window.Take(new NodeId(1), Stream + 1, Shard));
        Assert.NotEqual(ForwardOrder.Repeated, window.Take(new NodeId(1), Stream + 1_000_000, Shard));
        Assert.Equal(ForwardOrder.Repeated, window.Take(new NodeId(1), Stream + 2, Shard));
        Assert.NotEqual(ForwardOrder.Repeated, window.Take(new NodeId(1), Stream + 999_999, Shard));
    }

    [Fact]
    public void What_comes_behind_a_later_one_of_its_shard_is_told_from_what_comes_in_order()
    {
        var window = new ForwardWindow();
        Assert.Equal(ForwardOrder.Next, window.Take(new NodeId(1), Stream + 1, Shard));
        Assert.Equal(ForwardOrder.Next, window.Take(new NodeId(1), Stream + 3, Shard));
        Assert.Equal(ForwardOrder.Overtaken, window.Take(new NodeId(1), Stream + 2, Shard));
        Assert.Equal(ForwardOrder.Repeated, window.Take(new NodeId(1), Stream + 2, Shard));
        Assert.Equal(ForwardOrder.Next, window.Take(new NodeId(1), Stream + 5, Shard));
        Assert.Equal(ForwardOrder.Next, window.Take(new NodeId(1), Stream + 4, new ShardId(1)));
        Assert.Equal(ForwardOrder.Next, window.Take(new NodeId(2), Stream + 4, Shard));
    }
}
