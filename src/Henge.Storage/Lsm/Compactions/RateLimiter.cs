using Henge.Storage.Lsm.Background;

namespace Henge.Storage.Lsm.Compactions;

/// <summary>Keeps a job to a number of bytes in a second, with bursts of a tenth of a second. Not thread-safe.</summary>
internal sealed class RateLimiter(long bytesPerSecond, TimeProvider time, IBackgroundScheduler scheduler)
{
    private long _lastTimestamp = time.GetTimestamp();
    private double _credit = bytesPerSecond / 10.0;

    /// <summary>Accounts for bytes, and holds up the job until they were due.</summary>
    public void Take(long bytes)
    {
        long now = time.GetTimestamp();
        _credit = Math.Min(bytesPerSecond / 10.0, _credit + time.GetElapsedTime(_lastTimestamp, now).TotalSeconds * bytesPerSecond);
        _lastTimestamp = now;
        _credit -= bytes;
        if (_credit < 0)
        {
            scheduler.Pause(TimeSpan.FromSeconds(Math.Min(1, -_credit / bytesPerSecond)));
        }
    }
}
