namespace Henge.Node.Watch;

/// <summary>
/// Shares a node's memory for reading history among the watches that do: the more there are, the less each collects in one pass, and the
/// more passes it takes. Thread-safe.
/// </summary>
internal sealed class HistoryBudget(WatchOptions options)
{
    private const int EventBytes = 32;
    private const int MinimumEvents = 64;
    private int _active;

    /// <summary>Passes under way.</summary>
    public int Active => Volatile.Read(ref _active);

    /// <summary>A pass begins: how many events, and how many bytes of keys, it may hold.</summary>
    public (int Events, int KeyBytes) Enter()
    {
        long share = options.HistoryTotalBytes / Interlocked.Increment(ref _active) / 2;
        int events = (int)Math.Min(options.HistoryEvents, Math.Max(Math.Min(MinimumEvents, options.HistoryEvents), share / EventBytes));
        return (events, (int)Math.Min(options.HistoryKeyBytes, Math.Max(share, MinimumEvents * EventBytes)));
    }

    /// <summary>A pass ended.</summary>
    public void Leave() => Interlocked.Decrement(ref _active);
}
