namespace Henge.Storage.Lsm.State;

/// <summary>
/// A reference count spread over cache lines by thread, so that readers on different cores do not fight over one. The object lives
/// until <see cref="Close"/> was called and all references are given back. Thread-safe.
/// </summary>
internal abstract class StripedReferences
{
    private const int Stripes = 8;
    private const int Spacing = 16;
    private const long Closed = 1L << 40;
    private const long Drained = 1L << 41;
    private readonly long[] _counts = new long[(Stripes + 1) * Spacing];
    private int _open = Stripes;

    /// <summary>Takes a reference; false when it is closed. The stripe goes back to <see cref="Release"/>.</summary>
    public bool TryRetain(out int stripe)
    {
        stripe = ((Environment.CurrentManagedThreadId & (Stripes - 1)) + 1) * Spacing;
        if (Interlocked.Increment(ref _counts[stripe]) < Closed)
        {
            return true;
        }

        Release(stripe);
        return false;
    }

    public void Release(int stripe)
    {
        if (Interlocked.Decrement(ref _counts[stripe]) == Closed)
        {
            TryDrain(stripe);
        }
    }

    /// <summary>No new references from now on. Called once.</summary>
    public void Close()
    {
        for (int stripe = Spacing; stripe <= Stripes * Spacing; stripe += Spacing)
        {
            if (Interlocked.Add(ref _counts[stripe], Closed) == Closed)
            {
                TryDrain(stripe);
            }
        }
    }

    /// <summary>Called once, when the last reference is gone.</summary>
    protected abstract void Free();

    // A late TryRetain may go up and down again on a closed stripe: only one of those who see it at zero counts it.
    private void TryDrain(int stripe)
    {
        if (Interlocked.CompareExchange(ref _counts[stripe], Drained, Closed) == Closed && Interlocked.Decrement(ref _open) == 0)
        {
            Free();
        }
    }
}
