using System.Diagnostics;
using System.Globalization;
using Henge.Server.Runtime;

namespace Henge.Server.Tests.Runtime;

public sealed class MonotonicClockTests
{
    [Fact]
    public void It_counts_suspended_time_on_every_platform_that_nodes_run_on() =>
        Assert.True(MonotonicClock.Instance.CountsSuspendedTime, "this platform's clock may stand still in suspend");

    [Fact]
    public void On_Linux_it_is_the_time_since_the_boot_with_all_suspends_in_it()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        // /proc/uptime is read from CLOCK_BOOTTIME (proc(5)), in hundredths of a second.
        double before = Uptime();
        double now = MonotonicClock.Instance.GetTimestamp() / 1e9;
        double after = Uptime();
        Assert.InRange(now, before - 0.02, after + 0.02);
    }

    [Fact]
    public void It_never_runs_backwards_and_at_the_speed_of_the_systems_other_clock()
    {
        long last = MonotonicClock.Instance.GetTimestamp(), began = last;
        long other = Stopwatch.GetTimestamp();
        for (int i = 0; i < 100_000; i++)
        {
            long now = MonotonicClock.Instance.GetTimestamp();
            Assert.True(now >= last);
            last = now;
        }

        // The other clock was asked before and after: it encloses this one, but for what a suspend between adds.
        Assert.True(
            MonotonicClock.Instance.GetElapsedTime(began, last) <= Stopwatch.GetElapsedTime(other) + TimeSpan.FromMilliseconds(5)
                || OperatingSystem.IsMacOS());
    }

    private static double Uptime() => double.Parse(File.ReadAllText("/proc/uptime").Split(' ')[0], CultureInfo.InvariantCulture);
}
