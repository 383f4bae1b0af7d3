using System.Diagnostics;
using Henge.Bench.Load;

namespace Henge.Bench.Tests;

public sealed class LoadClockTests
{
    [Fact]
    public async Task No_lane_is_woken_before_its_time()
    {
        using LoadClock clock = new();
        await Task.WhenAll(Enumerable.Range(0, 50).Select(async lane =>
        {
            LoadAlarm alarm = new(clock);
            for (int i = 0; i < 5; i++)
            {
                long dueAt = Stopwatch.GetTimestamp() + (lane * Stopwatch.Frequency / 10_000);
                await alarm.UntilAsync(dueAt);
                Assert.True(Stopwatch.GetTimestamp() >= dueAt);
            }
        }));
    }

    [Fact]
    public async Task Stopping_wakes_everybody_now_and_later()
    {
        using LoadClock clock = new();
        long never = Stopwatch.GetTimestamp() + (3600 * Stopwatch.Frequency);
        LoadAlarm alarm = new(clock);
        ValueTask waiting = alarm.UntilAsync(never);
        Assert.False(waiting.IsCompleted);
        clock.Stop();
        await waiting;
        await alarm.UntilAsync(never);
    }
}
