using Henge.Client.Transport;
using Xunit;

namespace Henge.Client.Tests;

/// <summary>Sources of cancellation that calls use one after another: nothing of one call may reach the next.</summary>
public sealed class CallTimersTests
{
    private static readonly TimeSpan Long = TimeSpan.FromHours(1);

    [Fact]
    public void A_source_is_used_again()
    {
        var timers = new CallTimers(TimeProvider.System);
        CancellationToken first = TokenOfOneCall(timers);
        Assert.Equal(first, TokenOfOneCall(timers));
    }

    [Fact]
    public void A_call_ends_when_its_caller_gives_up()
    {
        var timers = new CallTimers(TimeProvider.System);
        using var caller = new CancellationTokenSource();
        using CallTimers.CallTimer call = timers.Begin(Long, caller.Token);
        Assert.False(call.Token.IsCancellationRequested);
        caller.Cancel();
        Assert.True(call.Token.IsCancellationRequested);
    }

    [Fact]
    public async Task A_call_ends_when_its_time_is_up()
    {
        var timers = new CallTimers(TimeProvider.System);
        using CallTimers.CallTimer call = timers.Begin(TimeSpan.FromMilliseconds(1), CancellationToken.None);
        var ended = new TaskCompletionSource();
        using CancellationTokenRegistration registration = call.Token.Register(ended.SetResult);
        await ended.Task;
    }

    [Fact]
    public void A_source_that_was_cancelled_is_not_used_again()
    {
        var timers = new CallTimers(TimeProvider.System);
        using var caller = new CancellationTokenSource();
        CancellationToken cancelled;
        using (CallTimers.CallTimer call = timers.Begin(Long, caller.Token))
        {
            cancelled = call.Token;
            caller.Cancel();
        }

        using CallTimers.CallTimer next = timers.Begin(Long, CancellationToken.None);
        Assert.NotEqual(cancelled, next.Token);
        Assert.False(next.Token.IsCancellationRequested);
    }

    [Fact]
    public void A_caller_that_gives_up_after_its_call_does_not_end_the_next_one()
    {
        var timers = new CallTimers(TimeProvider.System);
        using var caller = new CancellationTokenSource();
        timers.Begin(Long, caller.Token).Dispose();
        using CallTimers.CallTimer next = timers.Begin(Long, CancellationToken.None);
        caller.Cancel();
        Assert.False(next.Token.IsCancellationRequested);
    }

    [Fact]
    public void A_registration_that_a_call_left_behind_does_not_see_the_next_one_end()
    {
        var timers = new CallTimers(TimeProvider.System);
        bool told = false;
        using (CallTimers.CallTimer call = timers.Begin(Long, CancellationToken.None))
        {
            call.Token.Register(() => told = true);
        }

        using var caller = new CancellationTokenSource();
        using CallTimers.CallTimer next = timers.Begin(Long, caller.Token);
        caller.Cancel();
        Assert.True(next.Token.IsCancellationRequested);
        Assert.False(told);
    }

    private static CancellationToken TokenOfOneCall(CallTimers timers)
    {
        using CallTimers.CallTimer call = timers.Begin(Long, CancellationToken.None);
        return call.Token;
    }
}
