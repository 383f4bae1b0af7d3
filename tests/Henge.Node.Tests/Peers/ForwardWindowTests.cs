using Henge.Core;
using Henge.Node.Peers;

namespace Henge.Node.Tests.Peers;

public sealed class ForwardWindowTests
{
    private const ulong Stream = 7UL << ForwardWindow.CounterBits;

    [Fact]
    public void Each_number_is_taken_once_in_whatever_order_it_comes()
    {
        var window = new ForwardWindow();
        var random = new Random(1);
        ulong[] numbers = [.. Enumerable.Range(1, 30_000).Select(i => Stream + (ulong)i).OrderBy(_ => random.Next())];
        Assert.All(numbers, n => Assert.True(window.TryTake(new NodeId(1), n)));
        Assert.All(numbers, n => Assert.False(window.TryTake(new NodeId(1), n)));
    }

    [Fact]
    public void Senders_and_their_starts_do_not_disturb_each_other()
    {
        var window = new ForwardWindow();
        Assert.True(window.TryTake(new NodeId(1), Stream + 5));
        Assert.True(window.TryTake(new NodeId(2), Stream + 5));
        Assert.True(window.TryTake(new NodeId(1), (8UL << ForwardWindow.CounterBits) + 5));
        Assert.False(window.TryTake(new NodeId(1), Stream + 5));
    }

    [Fact]
    public void What_is_older_than_the_window_counts_as_repeated()
    {
        var window = new ForwardWindow();
        Assert.True(window.TryTake(new NodeId(1), Stream + 1));
        Assert.True(window.TryTake(new NodeId(1), Stream + 1_000_000));
        Assert.False(window.TryTake(new NodeId(1), Stream + 2));
        Assert.True(window.TryTake(new NodeId(1), Stream + 999_999));
    }
}
