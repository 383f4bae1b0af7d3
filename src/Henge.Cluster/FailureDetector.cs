using Henge.Core;

namespace Henge.Cluster;

/// <summary>What is thought of a node that should be heard from.</summary>
public enum Liveness : byte
{
    /// <summary>Heard from within the usual time.</summary>
    Alive,
    /// <summary>Late: not to be given new work.</summary>
    Suspect,
    /// <summary>Not heard from for long.</summary>
    Down,
}

/// <summary>When a node counts as late and as down.</summary>
/// <param name="SuspectAfterMs">Milliseconds of silence after which a node is suspect.</param>
/// <param name="DownAfterMs">Milliseconds of silence after which it is down; more than <paramref name="SuspectAfterMs"/>.</param>
public readonly record struct FailureDetectorOptions(long SuspectAfterMs, long DownAfterMs)
{
    /// <summary>Suspect after one second, down after ten.</summary>
    public static FailureDetectorOptions Default => new(1_000, 10_000);
}

/// <summary>
/// Says who is thought to be alive, from when each was last heard. A function of its inputs: the caller says what time it is (any monotonic clock).
/// It only ever advises (placement, dashboards); safety never rests on it. Not thread-safe.
/// </summary>
public sealed class FailureDetector
{
    private readonly FailureDetectorOptions _options;
    private readonly SortedDictionary<NodeId, long> _lastHeardMs = [];

    /// <summary>Creates a detector that watches nobody yet.</summary>
    public FailureDetector(FailureDetectorOptions options)
    {
        if (options.SuspectAfterMs <= 0 || options.DownAfterMs <= options.SuspectAfterMs)
        {
            throw new HengeException(
                ErrorCode.InvalidArgument, $"A node must be suspect after more than 0 ms and down later than that, not {options.SuspectAfterMs} and {options.DownAfterMs}.");
        }

        _options = options;
    }

    /// <summary>The nodes that are watched, in order.</summary>
    public IReadOnlyCollection<NodeId> Nodes => _lastHeardMs.Keys;

    /// <summary>A node was heard from (or begins to be watched, with the benefit of the doubt). Time that seems to run back is ignored.</summary>
    public void Heard(NodeId node, long nowMs)
    {
        if (!_lastHeardMs.TryGetValue(node, out long last) || nowMs > last)
        {
            _lastHeardMs[node] = nowMs;
        }
    }

    /// <summary>A node left: it is not watched any more.</summary>
    public void Forget(NodeId node) => _lastHeardMs.Remove(node);

    /// <summary>What is thought of a node at a moment; nodes that are not watched are <see cref="Liveness.Down"/>.</summary>
    public Liveness StateOf(NodeId node, long nowMs)
    {
        if (!_lastHeardMs.TryGetValue(node, out long last) || nowMs - last >= _options.DownAfterMs)
        {
            return Liveness.Down;
        }

        return nowMs - last >= _options.SuspectAfterMs ? Liveness.Suspect : Liveness.Alive;
    }
}
