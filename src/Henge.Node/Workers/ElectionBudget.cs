namespace Henge.Node.Workers;

/// <summary>
/// How many elections the shards of a worker may hold at a time. When a node goes, or stood still, hundreds of shards look for a leader in
/// the same moment; all at once they take longer than an election's timeout, and begin anew, for ever. A part at a time, each is done in a
/// few milliseconds. Belongs to the worker.
/// </summary>
/// <param name="limit">Elections under way, at the most.</param>
/// <param name="patienceTicks">An election that has no end after so many ticks counts no more: its voters may be gone for good.</param>
internal sealed class ElectionBudget(int limit, int patienceTicks)
{
    // How many that began in one of the last ticks are under way. Tick t is at t % length.
    private readonly int[] _began = new int[patienceTicks];
    private long _tick;
    private int _underWay;

    /// <summary>A deliberate bug, for the simulator only: what has ended or takes too long still counts.</summary>
    internal bool KeepsEnded { get; init; }

    /// <summary>Whether another one may begin.</summary>
    public bool HasRoom => _underWay < limit;

    /// <summary>An election begins in a tick; ticks never fall.</summary>
    public void Begin(long tick)
    {
        PassTo(tick);
        _began[tick % _began.Length]++;
        _underWay++;
    }

    /// <summary>An election that began in a tick has an end.</summary>
    public void End(long began)
    {
        if (began > _tick - _began.Length && !KeepsEnded)
        {
            _began[began % _began.Length]--;
            _underWay--;
        }
    }

    /// <summary>Time passes: those that take too long count no more.</summary>
    public void PassTo(long tick)
    {
        for (long left = Math.Min(tick - _tick, _began.Length); left > 0; left--)
        {
            ref int oldest = ref _began[(tick - left + 1) % _began.Length];
            _underWay -= KeepsEnded ? 0 : oldest;
            oldest = 0;
        }

        _tick = Math.Max(_tick, tick);
    }
}
