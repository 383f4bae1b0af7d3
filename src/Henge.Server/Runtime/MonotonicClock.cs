using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Henge.Server.Runtime;

/// <summary>
/// The clocks of a node: the system's wall clock, and a monotonic clock that goes on while the machine is suspended, because a leader's
/// lease must not survive a sleep (decision 0137). Thread-safe; timestamps are in nanoseconds where the platform's own clock is not used.
/// </summary>
/// <remarks>
/// .NET's own timestamps are CLOCK_MONOTONIC on Linux and CLOCK_UPTIME_RAW on macOS, which both stand still in suspend (clock_gettime(2),
/// clock_gettime_nsec_np(3)): there CLOCK_BOOTTIME and CLOCK_MONOTONIC_RAW are read. On Windows they are QueryPerformanceCounter, which
/// counts suspended time. Elsewhere, or where the call fails, .NET's own are used, and leases are only safe on machines that are never
/// suspended (<see cref="CountsSuspendedTime"/>). A virtual machine that its host stops without letting its clocks go on is beyond what any
/// clock in it can tell.
/// </remarks>
internal partial class MonotonicClock : TimeProvider
{
    private const int LinuxBootTime = 7;
    private const int DarwinMonotonicRaw = 4;
    private const long NanosecondsPerSecond = 1_000_000_000;

    private enum Source
    {
        DotNet,
        Linux,
        Darwin,
    }

    private readonly Source _source;

    protected MonotonicClock() => _source = Choose();

    /// <summary>The one instance.</summary>
    public static MonotonicClock Instance { get; } = new();

    /// <summary>False when this platform's clock may stand still while the machine is suspended.</summary>
    public bool CountsSuspendedTime => _source != Source.DotNet || OperatingSystem.IsWindows();

    /// <inheritdoc/>
    public override long TimestampFrequency => _source == Source.DotNet ? base.TimestampFrequency : NanosecondsPerSecond;

    /// <inheritdoc/>
    public override long GetTimestamp() =>
        _source switch
        {
            Source.Linux => ReadLinux(out long nanoseconds) == 0
                ? nanoseconds
                : throw new InvalidOperationException("The system's clock CLOCK_BOOTTIME can no longer be read."),
            Source.Darwin => ReadDarwin(),
            _ => base.GetTimestamp(),
        };

    private static Source Choose()
    {
        try
        {
            if (OperatingSystem.IsLinux() && ReadLinux(out _) == 0)
            {
                return Source.Linux;
            }

            if (OperatingSystem.IsMacOS() && ReadDarwin() != 0)
            {
                return Source.Darwin;
            }
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            return Source.DotNet;
        }

        return Source.DotNet;
    }

    // Methods of their own, and never a part of their callers: such imports are looked up when the method that calls them is compiled, on
    // whichever platform.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int ReadLinux(out long nanoseconds)
    {
        int error = GetTime(LinuxBootTime, out TimeSpec time);
        nanoseconds = (time.Seconds * NanosecondsPerSecond) + time.Nanoseconds;
        return error;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static long ReadDarwin() => (long)GetTimeDarwin(DarwinMonotonicRaw);

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct TimeSpec
    {
        // Both are as long as a pointer, in the C library's own call.
        private readonly nint _seconds;
        private readonly nint _nanoseconds;

        public long Seconds => _seconds;

        public long Nanoseconds => _nanoseconds;
    }

    // Read in user space (vDSO) by all kernels of today, in some tens of nanoseconds: too short for a transition of the collector.
    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    [SuppressGCTransition]
    private static partial int GetTime(int clock, out TimeSpec time);

    [LibraryImport("libc", EntryPoint = "clock_gettime_nsec_np")]
    [SuppressGCTransition]
    private static partial ulong GetTimeDarwin(int clock);
}
