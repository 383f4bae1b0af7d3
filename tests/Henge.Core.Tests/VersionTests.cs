using System.Globalization;
using Microsoft.Extensions.Time.Testing;

namespace Henge.Core.Tests;

public sealed class VersionTests
{
    [Fact]
    public void The_largest_version_is_exact_as_a_json_number()
    {
        Assert.Equal(9_007_199_254_740_991UL, Version.Max.Value);
        Assert.Equal(Version.MaxValue, (ulong)(double)Version.MaxValue);
        Assert.Equal((1L << 41) - 1, Version.Max.Milliseconds);
    }

    [Fact]
    public void The_epoch_is_the_first_moment_of_2025()
    {
        var epoch = new DateTimeOffset(2025, 1, 1, 0, 0, 0, TimeSpan.Zero);
        Assert.Equal(Version.First, Version.FromTime(epoch));
        Assert.Equal(new Version(1UL << 12), Version.FromTime(epoch.AddMilliseconds(1)));
        Assert.Equal(Version.First, Version.FromTime(epoch.AddYears(-10)));
        Assert.Equal(epoch, Version.First.ToTime());
        Assert.Equal(epoch, Version.Zero.ToTime());
    }

    [Fact]
    public void Times_come_back_to_the_millisecond()
    {
        var time = new DateTimeOffset(2026, 11, 20, 12, 34, 56, 789, TimeSpan.Zero);
        Assert.Equal(time, Version.FromTime(time).ToTime());
        Assert.Equal(time, Version.FromTime(time).Next.ToTime());
    }

    [Fact]
    public void A_full_counter_runs_into_the_next_millisecond()
    {
        Version version = Version.FromMilliseconds(1_000);
        for (int i = 0; i < 1 << Version.CounterBits; i++)
        {
            Assert.Equal(1_000, version.Milliseconds);
            version = version.Next;
        }

        Assert.Equal(1_001, version.Milliseconds);
    }

    [Fact]
    public void Times_beyond_the_range_stop_at_the_largest()
    {
        Assert.Equal(Version.Max, Version.FromTime(DateTimeOffset.MaxValue));
        Assert.Equal(Version.Max, Version.FromMilliseconds(long.MaxValue));
        Assert.Equal(Version.Max, Version.FromMilliseconds(1L << 52));
    }

    [Fact]
    public void A_moment_is_never_the_version_that_means_none()
    {
        Assert.Equal(Version.First, Version.FromMilliseconds(long.MinValue));
        Assert.Equal(Version.First, Version.FromMilliseconds(0));
        Assert.Equal(Version.First, Version.FromTime(DateTimeOffset.MinValue));
        Assert.Equal(Version.First, Version.FromTime(DateTimeOffset.UnixEpoch));
        Assert.False(Version.First.IsZero);
    }

    [Fact]
    public void Versions_order_and_print_as_numbers()
    {
        Version small = new(5), large = new(6);
        Assert.True(small < large && large > small && small <= new Version(5) && small >= new Version(5));
        Assert.Equal([small, large], new[] { large, small }.Order());
        Assert.Equal("5", small.ToString());
        Assert.Equal(5.ToString(CultureInfo.InvariantCulture), $"{small}");
        Assert.True(Version.Zero.IsZero);
    }
}

public sealed class HybridClockTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    [Fact]
    public void Versions_follow_the_clock()
    {
        var clock = new HybridClock(_time);
        Version first = clock.NextAfter(Version.Zero);
        Assert.Equal(_time.GetUtcNow(), first.ToTime());
        _time.Advance(TimeSpan.FromMilliseconds(7));
        Assert.Equal(Version.FromTime(_time.GetUtcNow()), clock.NextAfter(first));
    }

    [Fact]
    public void Versions_rise_strictly_whatever_the_clock_does()
    {
        var clock = new HybridClock(_time);
        var random = new Random(3);
        Version last = Version.Zero;
        for (int i = 0; i < 100_000; i++)
        {
            if (random.Next(10) == 0)
            {
                _time.AdjustTime(_time.GetUtcNow().AddMilliseconds(random.Next(-100_000, 100_000)));
            }

            Version next = clock.NextAfter(last);
            Assert.True(next > last);
            Assert.True(next >= clock.Now);
            last = next;
        }
    }

    [Fact]
    public void A_clock_that_stands_still_only_counts()
    {
        var clock = new HybridClock(_time);
        Version first = clock.NextAfter(Version.Zero);
        Assert.Equal(first.Value + 1, clock.NextAfter(first).Value);
    }
}
