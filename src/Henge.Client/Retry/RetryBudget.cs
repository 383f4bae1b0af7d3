namespace Henge.Client.Retry;

/// <summary>
/// A token bucket that bounds how much load retries add to a cluster in trouble (see <see cref="HengeClientOptions.RetryBudget"/>).
/// Thread-safe.
/// </summary>
internal sealed class RetryBudget(int capacity, TimeProvider time)
{
    // Counted in tenths of a retry, so that a success can give back one tenth.
    private const int Unit = 10;

    private readonly Lock _lock = new();
    private readonly long _capacity = (long)capacity * Unit;
    private long _tokens = (long)capacity * Unit;
    private long _refilledAt = time.GetTimestamp();

    /// <summary>Takes one retry; false when there is none left.</summary>
    public bool TryTake()
    {
        lock (_lock)
        {
            long now = time.GetTimestamp();
            long refill = (long)(time.GetElapsedTime(_refilledAt, now).TotalSeconds * _capacity / 100);
            if (refill > 0)
            {
                Volatile.Write(ref _tokens, Math.Min(_capacity, _tokens + refill));
                _refilledAt = now;
            }

            if (_tokens < Unit)
            {
                return false;
            }

            Volatile.Write(ref _tokens, _tokens - Unit);
            return true;
        }
    }

    /// <summary>Gives back a tenth of a retry. Costs one read while the bucket is full, which is nearly always.</summary>
    public void OnSuccess()
    {
        if (Volatile.Read(ref _tokens) >= _capacity)
        {
            return;
        }

        lock (_lock)
        {
            Volatile.Write(ref _tokens, Math.Min(_capacity, _tokens + 1));
        }
    }
}
