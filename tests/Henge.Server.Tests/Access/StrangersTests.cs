using Henge.Server.Access;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Time.Testing;

namespace Henge.Server.Tests.Access;

/// <summary>How many connections may be there without having logged in, and for how long.</summary>
public sealed class StrangersTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly Strangers _strangers;
    private int _ended;

    public StrangersTests() => _strangers = new Strangers(3, TimeSpan.FromSeconds(60), _time, () => _ended++);

    public void Dispose() => _strangers.Dispose();

    [Fact]
    public void Over_the_number_the_one_that_has_waited_longest_is_ended()
    {
        Connection[] connections = [.. Enumerable.Range(0, 4).Select(_ => new Connection())];
        Stranger[] places = [.. connections.Select(_strangers.Of)];
        for (int i = 0; i < 3; i++)
        {
            places[i].Enter();
        }

        // The first is nobody's concern any more.
        places[0].Leave();
        places[0].Leave();
        places[3].Enter();
        Assert.Equal([false, false, false, false], connections.Select(static c => c.IsAborted));
        places[0].Enter();
        Assert.Equal([false, true, false, false], connections.Select(static c => c.IsAborted));
        Assert.Equal((3, 1), (_strangers.Count, _ended));
    }

    [Fact]
    public void Who_does_not_log_in_in_time_is_ended_and_nobody_else()
    {
        Connection late = new(), later = new(), known = new();
        _strangers.Of(late).Enter();
        Stranger left = _strangers.Of(known);
        left.Enter();
        _time.Advance(TimeSpan.FromSeconds(30));
        Stranger again = _strangers.Of(later);
        again.Enter();
        left.Leave();
        _time.Advance(TimeSpan.FromSeconds(29));
        again.Enter();
        Assert.False(late.IsAborted);
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.True(late.IsAborted);
        Assert.False(later.IsAborted || known.IsAborted);

        // What asks in between keeps its place and its time.
        _time.Advance(TimeSpan.FromSeconds(30));
        Assert.True(later.IsAborted);
        _time.Advance(TimeSpan.FromHours(1));
        Assert.False(known.IsAborted);
        Assert.Equal(0, _strangers.Count);

        // A new one after nobody was there.
        left.Enter();
        _time.Advance(TimeSpan.FromSeconds(61));
        Assert.True(known.IsAborted);
    }

    private sealed class Connection : DefaultConnectionContext
    {
        public bool IsAborted { get; private set; }

        public override void Abort(ConnectionAbortedException abortReason) => IsAborted = true;
    }
}
