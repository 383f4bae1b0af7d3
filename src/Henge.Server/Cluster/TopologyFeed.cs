using Henge.Core;
using Henge.Node.Api;

namespace Henge.Server.Cluster;

/// <summary>
/// Makes an edition of the topology for all who watch it, when it has changed: at once, and then not more often than every so often, with
/// all that has changed meanwhile. While nobody watches it does nothing, and while nothing changes no timer runs. Thread-safe.
/// </summary>
internal sealed class TopologyFeed : IDisposable
{
    /// <summary>Most who watch at a time.</summary>
    public const int MostWatchers = 65_536;

    private static readonly TimeSpan LeastPause = TimeSpan.FromMilliseconds(50);

    private readonly IHengeNode _node;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private readonly Lock _lock = new();
    private TopologyEdition? _current;
    private long _madeAt;
    private int _watchers;
    private int _scheduled;
    private int _changed;

    public TopologyFeed(IHengeNode node, TimeProvider? time = null)
    {
        _node = node;
        _time = time ?? TimeProvider.System;
        _timer = _time.CreateTimer(static s => ((TopologyFeed)s!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        node.TopologyChanged += OnChanged;
    }

    /// <summary>The newest edition.</summary>
    public TopologyEdition Current => Volatile.Read(ref _current)!;

    /// <summary>How many watch.</summary>
    public int Watchers => Volatile.Read(ref _watchers);

    /// <summary>
    /// Somebody begins to watch, and gets what is known now. To be followed by <see cref="Leave"/>, unless it throws
    /// <see cref="HengeException"/>.
    /// </summary>
    public TopologyEdition Enter()
    {
        if (Interlocked.Increment(ref _watchers) > MostWatchers)
        {
            Leave();
            throw new HengeException(
                ErrorCode.ResourceExhausted,
                $"{MostWatchers} callers watch the topology on this node, which is its limit. Ask another node.");
        }

        // What changed while nobody watched was left alone. What changes from here on is heard.
        return Volatile.Read(ref _current) is { } current && Volatile.Read(ref _changed) == 0 ? current : Make();
    }

    /// <summary>Somebody watches no longer.</summary>
    public void Leave() => Interlocked.Decrement(ref _watchers);

    /// <inheritdoc/>
    public void Dispose()
    {
        _node.TopologyChanged -= OnChanged;
        _timer.Dispose();
    }

    // Called by the node's own threads.
    private void OnChanged()
    {
        Interlocked.Exchange(ref _changed, 1);
        if (Volatile.Read(ref _watchers) > 0 && Interlocked.Exchange(ref _scheduled, 1) == 0)
        {
            TimeSpan wait = LeastPause - _time.GetElapsedTime(Interlocked.Read(ref _madeAt));
            _timer.Change(wait > TimeSpan.Zero ? wait : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
        }
    }

    private void OnTimer()
    {
        Interlocked.Exchange(ref _scheduled, 0);
        Make();
    }

    private TopologyEdition Make()
    {
        lock (_lock)
        {
            Interlocked.Exchange(ref _madeAt, _time.GetTimestamp());

            // Before the topology is read: what changes while it is read is made an edition of as well.
            Interlocked.Exchange(ref _changed, 0);
            Topology topology = _node.GetTopology();
            TopologyEdition? made = _current is null ? TopologyEdition.First(topology) : _current.Next(topology);
            if (made is null)
            {
                return _current!;
            }

            TopologyEdition? old = _current;
            Volatile.Write(ref _current, made);
            old?.Supersede();
            return made;
        }
    }
}
