namespace Henge.Node.Context;

/// <summary>
/// How fast a node sends snapshots of shards that move, all of them together: a bucket of bytes that fills with time. What is not taken for
/// long is lost, but for the tenth of a second that a burst may be. Thread-safe.
/// </summary>
internal sealed class MoveRate
{
    /// <summary>Bytes for a second, by default.</summary>
    public const long DefaultBytesPerSecond = 32L << 20;

    private const long BurstMs = 100;
    private readonly Lock _gate = new();
    private long _bytesPerSecond = DefaultBytesPerSecond;

    // In bytes times milliseconds per second, so that nothing is lost by rounding.
    private long _room;
    private long _atMs;

    /// <summary>Bytes for a second.</summary>
    public long BytesPerSecond
    {
        get => Volatile.Read(ref _bytesPerSecond);
        set => Volatile.Write(ref _bytesPerSecond, Math.Max(1, value));
    }

    /// <summary>Whether another chunk may leave now. One that is larger than what there is room for is paid for afterwards.</summary>
    public bool MaySend(long nowMs)
    {
        lock (_gate)
        {
            Fill(nowMs);
            return _room >= 0;
        }
    }

    /// <summary>Bytes have left.</summary>
    public void OnSent(int bytes, long nowMs)
    {
        lock (_gate)
        {
            Fill(nowMs);
            _room -= 1_000L * bytes;
        }
    }

    private void Fill(long nowMs)
    {
        if (nowMs <= _atMs)
        {
            return;
        }

        long rate = BytesPerSecond;
        long elapsed = Math.Min(nowMs - _atMs, 1_000_000);
        _room = Math.Min(_room + (elapsed * rate), BurstMs * rate);
        _atMs = nowMs;
    }
}
