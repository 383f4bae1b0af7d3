using Henge.Node.Api;

namespace Henge.Node.Context;

/// <summary>How long the latest elections took that a node won: the last 128. Thread-safe.</summary>
internal sealed class ElectionTimes
{
    private const int Kept = 128;
    private readonly Lock _lock = new();
    private readonly Queue<ElectionTime> _latest = new(Kept);

    /// <summary>One more was won.</summary>
    public void Add(ElectionTime time)
    {
        lock (_lock)
        {
            if (_latest.Count == Kept)
            {
                _latest.Dequeue();
            }

            _latest.Enqueue(time);
        }
    }

    /// <summary>The latest, oldest first.</summary>
    public ElectionTime[] Read()
    {
        lock (_lock)
        {
            return [.. _latest];
        }
    }
}
