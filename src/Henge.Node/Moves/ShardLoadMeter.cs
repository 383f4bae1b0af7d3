namespace Henge.Node.Moves;

/// <summary>
/// How many operations a shard takes in for a second, over the last seconds: counting is an addition, and the rest is done now and then.
/// Belongs to the shard's worker.
/// </summary>
internal sealed class ShardLoadMeter
{
    // A change shows by more than half after so long.
    private const double WindowMs = 5_000;
    private long _count;
    private long _measured;
    private long? _measuredMs;
    private double _perSecond;

    /// <summary>Counts operations.</summary>
    public void Add(int operations) => _count += operations;

    /// <summary>Operations for a second.</summary>
    public long Measure(long nowMs)
    {
        if (_measuredMs is { } since && nowMs > since)
        {
            double elapsed = nowMs - since;
            double latest = 1_000 * (_count - _measured) / elapsed;
            _perSecond += (latest - _perSecond) * elapsed / (elapsed + WindowMs);
        }

        (_measured, _measuredMs) = (_count, nowMs);
        return (long)_perSecond;
    }

    /// <summary>Begins anew: the shard is led elsewhere.</summary>
    public void Clear() => (_measuredMs, _perSecond) = (null, 0);
}
