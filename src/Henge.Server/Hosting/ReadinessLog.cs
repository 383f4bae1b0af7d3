namespace Henge.Server.Hosting;

/// <summary>
/// Turns the states of a node, which change many times while leaders are elected, into the few lines that an operator reads: a line when a
/// node has been ready, or not ready, for a second after having been the other. Not thread-safe.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="write">Takes the problem of a line; null: the node is ready.</param>
public sealed class ReadinessLog(TimeProvider time, Action<string?> write)
{
    private static readonly TimeSpan SettleTime = TimeSpan.FromSeconds(1);

    // Nothing has been written yet while this is null: the first state is written as any other.
    private bool? _written;
    private bool? _current;
    private long _since;

    /// <summary>
    /// Takes in what a look has found: why the node is not ready, or null when it is. Called again while nothing changes, a few times a
    /// second.
    /// </summary>
    public void Observe(string? problem)
    {
        bool ready = problem is null;
        if (ready != _current)
        {
            // Another problem than before is the same state: the node is still not ready.
            (_current, _since) = (ready, time.GetTimestamp());
        }

        if (_written != _current && time.GetElapsedTime(_since) >= SettleTime)
        {
            _written = _current;
            write(problem);
        }
    }
}
