using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Watch;

namespace Henge.Node.Subscriptions;

// Who gives the events: chosen, heard, lost, and chosen again.
internal sealed partial class RemoteShards
{
    private const long GoneMs = 10_000;
    private readonly List<(NodeId Node, long UntilMs)> _avoided = [];
    private readonly List<NodeId> _candidates = [];
    private long _nextTryMs;
    private long _retryMs;
    private ulong _generation;
    private bool _waitsForRoom;
    private HengeException? _gone;
    private HengeException? _lastError;

    /// <summary>A record of a subscription has come. On the transport's thread.</summary>
    public void OnEvents(
        Subscription subscription, ulong serving, ulong sequence, List<ShardPosition> positions, ReadOnlySpan<byte> events)
    {
        bool reopens = false;
        bool tells = !events.IsEmpty || _query.Progress;
        lock (_lock)
        {
            if (_disposed || !IsOpen(subscription))
            {
                return;
            }

            tells |= _mustOpen;
            subscription.HeardMs = _watches.NowMs;
            subscription.Serving = subscription.Serving == 0 ? serving : subscription.Serving;
            bool isOther = subscription.Serving != serving;
            if (!isOther && sequence <= subscription.Sequence && !_watches.Bugs.TakesEventsTwice)
            {
                return;
            }

            if (isOther || sequence > subscription.Sequence + 1)
            {
                // What was between is lost, or comes later: it is asked for again. So is everything when an opening was served twice.
                if (_watches.Bugs.TakesPositionsBehindGap)
                {
                    Take(subscription, positions);
                }

                Lose(subscription);
                reopens = true;
            }
            else if (!_watches.TryReserve(events.Length))
            {
                // There is no room for it. It comes again when there is, and what waits here was read.
                _waitsForRoom = true;
                Lose(subscription);
                reopens = true;
            }
            else
            {
                subscription.Sequence = sequence;
                _retryMs = 0;
                if (!events.IsEmpty)
                {
                    _queue.Enqueue(new Came(subscription, events.ToArray()));
                }

                Take(subscription, positions);
            }
        }

        if (reopens)
        {
            _watches.Close(subscription);
            Assign();
        }

        if (tells)
        {
            _onAvailable();
        }
    }

    /// <summary>The other node gives no more events, for a reason. On the transport's thread.</summary>
    public void OnEnd(Subscription subscription, ErrorCode error, string message)
    {
        lock (_lock)
        {
            if (_disposed || !IsOpen(subscription))
            {
                return;
            }

            // What is wrong with a replica there is no error of the watch.
            bool isRefused = error is ErrorCode.PermissionDenied or ErrorCode.Unauthenticated;
            bool isOfWatch = isRefused || error is ErrorCode.HistoryGone or ErrorCode.ResourceExhausted or ErrorCode.TooLarge;
            var reason = new HengeException(isOfWatch ? error : ErrorCode.Unavailable, message);
            if (error == ErrorCode.HistoryGone)
            {
                // Once it has given something, this may be the answer to an opening that came twice, before and after a restart there: to
                // where the watch stood then. It is asked again from where it stands now, and the first answer to that counts.
                if (subscription.Sequence == 0)
                {
                    OnGone(subscription, reason);
                }
            }
            else
            {
                Avoid(subscription.Node, _watches.NowMs);
            }

            if (isRefused || error == ErrorCode.TooLarge)
            {
                // Who asks may not any more; or a version that does not fit into a message: nobody else could send it either.
                _failure = reason;
            }

            _lastError = reason;
            Lose(subscription);
        }

        _watches.Forget(subscription);
        Assign();
        _onAvailable();
    }

    // Which of several shards it is, shows when each is asked for by itself.
    private void OnGone(Subscription subscription, HengeException reason)
    {
        _gone = reason;
        if (subscription.Shards.Count > 1)
        {
            subscription.Shards.ForEach(static s => s.IsAlone = true);
            return;
        }

        RemoteShard shard = subscription.Shards[0];
        shard.GoneMs = shard.Gone.Count == 0 ? _watches.NowMs : shard.GoneMs;
        shard.Gone.Add(subscription.Node);
    }

    /// <summary>The connection to a node broke: what was under way may be lost.</summary>
    public void OnDisconnected(NodeId node) => LoseWhere(s => s.Node == node, avoid: true);

    /// <summary>Looks after its subscriptions, now and then.</summary>
    public void Tick(long nowMs)
    {
        ulong generation = _watches.Sources.Generation;
        bool hasChanged = generation != _generation;
        _generation = generation;
        LoseWhere(s => nowMs - s.HeardMs >= _watches.Options.RemoteSilenceMs, avoid: true);
        if (hasChanged)
        {
            // Who has ceased to be a replica may hear of nothing any more.
            LoseWhere(IsNoSource, avoid: false);
        }

        bool tells;
        lock (_lock)
        {
            foreach (RemoteShard shard in _shards)
            {
                if (shard.Source is { } source && nowMs - source.SaidMs >= _watches.Options.RemoteIntervalMs)
                {
                    source.SaidMs = nowMs;
                    _watches.Say(source);
                }
            }

            if (_waitsForRoom && _queue.Count == 0 && _watches.HasRoom)
            {
                _waitsForRoom = false;
            }

            if (_mustOpen && _failure is null && nowMs >= _openUntilMs)
            {
                _failure = _lastError ?? new HengeException(
                    ErrorCode.Unavailable,
                    $"No node that carries shard {_shards.Find(static s => !s.IsOpen)?.Shard} could be reached in time, so the watch could "
                        + "not be opened. Try again, or ask another node.");
            }

            tells = _failure is not null || _shards.Exists(s => _watches.IsHere(s.Shard));
        }

        Assign();
        if (tells)
        {
            _onAvailable();
        }
    }

    // Asks for the shards that nobody gives events of: as few nodes as possible, one subscription each.
    private void Assign()
    {
        List<(Subscription Subscription, WatchOpening Opening)> opened = [];
        lock (_lock)
        {
            long now = _watches.NowMs;
            if (_disposed || _failure is not null || _waitsForRoom || now < _nextTryMs)
            {
                return;
            }

            _avoided.RemoveAll(a => a.UntilMs <= now);
            List<RemoteShard> left = _shards.FindAll(static s => s.Source is null);
            while (left.Count > 0 && Choose(left, now) is { IsNone: false } node)
            {
                opened.Add(Open(node, left, now));
            }

            if (left.Count > 0 || opened.Count > 0)
            {
                _retryMs = Math.Clamp(_retryMs * 2, _watches.Options.RemoteRetryMs, _watches.Options.RemoteAvoidMs);
                _nextTryMs = now + _retryMs;
            }
        }

        _watches.Open(opened);
    }

    private (Subscription Subscription, WatchOpening Opening) Open(NodeId node, List<RemoteShard> left, long now)
    {
        Subscription subscription = _watches.NewSubscription(this, node);
        (subscription.HeardMs, subscription.SaidMs) = (now, now);
        var positions = new List<ShardPosition>();
        for (int i = left.Count - 1; i >= 0; i--)
        {
            RemoteShard shard = left[i];
            Candidates(shard);
            if (!_candidates.Contains(node) || (shard.IsAlone && positions.Count > 0))
            {
                continue;
            }

            Core.Version next = shard.Received;
            if (_watches.Bugs.ReopensWatchTooLate && !next.IsZero && shard.IsOpen)
            {
                next = new Core.Version(next.Value + (1 << Core.Version.CounterBits));
            }

            shard.Source = subscription;
            subscription.Shards.Add(shard);
            positions.Add(new ShardPosition(shard.Shard, next));
            left.RemoveAt(i);
            if (shard.IsAlone)
            {
                break;
            }
        }

        positions.Sort(static (a, b) => a.Shard.Value.CompareTo(b.Shard.Value));
        return (subscription, new WatchOpening(subscription.Id, _query, positions, subscription.Granted));
    }

    // The node that most of the shards can be had from; none when there is none for any of them.
    private NodeId Choose(List<RemoteShard> left, long now)
    {
        var counts = new SortedDictionary<NodeId, int>();
        foreach (RemoteShard shard in left)
        {
            Candidates(shard);
            if (shard.Gone.Count > 0 && (_candidates.Count == 0 || now - shard.GoneMs >= GoneMs))
            {
                // Nobody has the events any more, of those who can be asked.
                _failure = _gone;
                return NodeId.None;
            }

            foreach (NodeId node in _candidates)
            {
                counts[node] = counts.GetValueOrDefault(node) + 1;
            }
        }

        // Of equal ones any, so that watches spread over them.
        int most = counts.Count == 0 ? 0 : counts.Values.Max();
        NodeId[] best = [.. counts.Where(c => c.Value == most).Select(static c => c.Key)];
        return best.Length == 0 ? NodeId.None : best[(int)(_watches.NextChoice() % (ulong)best.Length)];
    }

    // Nodes that did not serve just now only when there are no others.
    private void Candidates(RemoteShard shard)
    {
        _candidates.Clear();
        _watches.Sources.AddNodes(shard.Shard, _candidates);
        _candidates.RemoveAll(shard.Gone.Contains);
        if (_candidates.Exists(n => !IsAvoided(n)))
        {
            _candidates.RemoveAll(IsAvoided);
        }
    }

    private bool IsAvoided(NodeId node) => _avoided.Exists(a => a.Node == node);

    private void Avoid(NodeId node, long now)
    {
        _avoided.RemoveAll(a => a.Node == node);
        _avoided.Add((node, now + _watches.Options.RemoteAvoidMs));
    }

    private bool IsNoSource(Subscription subscription)
    {
        foreach (RemoteShard shard in subscription.Shards)
        {
            _candidates.Clear();
            _watches.Sources.AddNodes(shard.Shard, _candidates);
            if (!_candidates.Contains(subscription.Node) && _candidates.Count > 0)
            {
                return true;
            }
        }

        return false;
    }

    private void Take(Subscription subscription, List<ShardPosition> positions)
    {
        foreach (ShardPosition position in positions)
        {
            if (subscription.Shards.Find(s => s.Shard == position.Shard) is not { } shard)
            {
                continue;
            }

            shard.IsOpen = true;
            shard.IsAlone = false;
            shard.Gone.Clear();
            shard.Received = position.Next > shard.Received ? position.Next : shard.Received;
            if (_queue.Count == 0)
            {
                shard.Given = shard.Received;
            }
        }
    }

    private void Lose(Subscription subscription)
    {
        foreach (RemoteShard shard in subscription.Shards)
        {
            shard.Source = null;
        }
    }

    private void LoseWhere(Predicate<Subscription> which, bool avoid)
    {
        List<Subscription>? lost = null;
        lock (_lock)
        {
            foreach (RemoteShard shard in _shards)
            {
                if (shard.Source is { } source && which(source))
                {
                    (lost ??= []).Add(source);
                    Lose(source);
                    if (avoid)
                    {
                        Avoid(source.Node, _watches.NowMs);
                    }
                }
            }
        }

        if (lost is not null)
        {
            lost.ForEach(_watches.Close);
            Assign();
        }
    }
}
