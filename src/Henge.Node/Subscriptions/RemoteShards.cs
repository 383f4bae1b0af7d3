using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Watch;

namespace Henge.Node.Subscriptions;

/// <summary>
/// The shards of one watch whose events come from other nodes: takes what comes in order, keeps it until it is read, and asks another node
/// when the one before is lost. All events of a shard pass through one queue, so they keep their order when their source changes.
/// Thread-safe; one reader.
/// </summary>
internal sealed partial class RemoteShards : IRemoteShards
{
    private readonly RemoteWatches _watches;
    private readonly WatchQuery _query;
    private readonly Action _onAvailable;
    private readonly Lock _lock = new();
    private readonly List<RemoteShard> _shards = [];
    private readonly Queue<Came> _queue = new();
    private int _offset;
    private HengeException? _failure;
    private bool _mustOpen;
    private readonly long _openUntilMs;
    private bool _disposed;

    public RemoteShards(RemoteWatches watches, WatchQuery query, bool mustOpen, Action onAvailable)
    {
        (_watches, _query, _mustOpen, _onAvailable) = (watches, query, mustOpen, onAvailable);
        _openUntilMs = watches.NowMs + watches.OpenMs;
    }

    // Events that came with one record.
    private readonly record struct Came(Subscription By, byte[] Events);

    /// <inheritdoc/>
    public bool IsEmpty
    {
        get
        {
            lock (_lock)
            {
                return _shards.Count == 0;
            }
        }
    }

    /// <inheritdoc/>
    public bool IsDrained
    {
        get
        {
            lock (_lock)
            {
                return _queue.Count == 0;
            }
        }
    }

    /// <inheritdoc/>
    public Core.Version LowestPosition
    {
        get
        {
            lock (_lock)
            {
                Core.Version lowest = Core.Version.Max;
                foreach (RemoteShard shard in _shards)
                {
                    lowest = shard.Given < lowest ? shard.Given : lowest;
                }

                return lowest;
            }
        }
    }

    /// <inheritdoc/>
    public bool TryOpen()
    {
        Assign();
        lock (_lock)
        {
            if (_mustOpen && _failure is not null)
            {
                throw _failure;
            }

            _mustOpen = _mustOpen && !_shards.TrueForAll(static s => s.IsOpen);
            return !_mustOpen;
        }
    }

    /// <inheritdoc/>
    public bool TryAdd(ShardPosition position, bool isGoneHere)
    {
        List<NodeId> nodes = [];
        _watches.Sources.AddNodes(position.Shard, nodes);
        if (isGoneHere && nodes.Count == 0)
        {
            return false;
        }

        lock (_lock)
        {
            // The first ones are asked for together, when it is asked whether they are open.
            var shard = new RemoteShard(position.Shard, position.Next) { IsOpen = !_mustOpen };
            if (isGoneHere)
            {
                shard.Gone.Add(_watches.Self);
                shard.GoneMs = _watches.NowMs;
            }

            _shards.Add(shard);
            _nextTryMs = 0;
        }

        if (!_mustOpen)
        {
            Assign();
        }

        return true;
    }

    /// <inheritdoc/>
    public void TakeHome(Predicate<ShardPosition> isHere, List<ShardPosition> home)
    {
        List<Subscription>? left = null;
        lock (_lock)
        {
            if (_queue.Count > 0 || _mustOpen)
            {
                return;
            }

            for (int i = _shards.Count - 1; i >= 0; i--)
            {
                RemoteShard shard = _shards[i];
                var position = new ShardPosition(shard.Shard, shard.Received);
                if (shard.Gone.Contains(_watches.Self) || !isHere(position))
                {
                    continue;
                }

                if (shard.Source is { } source)
                {
                    // What of it is under way is not taken any more.
                    Lose(source);
                    (left ??= []).Add(source);
                }

                _shards.RemoveAt(i);
                home.Add(position);
            }
        }

        if (left is not null)
        {
            left.ForEach(_watches.Close);
            Assign();
        }
    }

    /// <inheritdoc/>
    public void CopyPositions(List<ShardPosition> positions)
    {
        lock (_lock)
        {
            foreach (RemoteShard shard in _shards)
            {
                positions.Add(new ShardPosition(shard.Shard, shard.Given));
            }
        }
    }

    /// <inheritdoc/>
    public void Read(IWatchReceiver receiver, ref ReadBudget budget)
    {
        while (budget.IsLeft && TryPeek(out Came came, out int offset))
        {
            ReadRecord(came, offset, receiver, ref budget);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        List<Subscription> open = [];
        lock (_lock)
        {
            _disposed = true;
            foreach (RemoteShard shard in _shards)
            {
                if (shard.Source is { } source && !open.Contains(source))
                {
                    open.Add(source);
                }
            }

            foreach (Came came in _queue)
            {
                _watches.Release(came.Events.Length);
            }

            _queue.Clear();
        }

        _watches.Remove(this, open);
    }

    // False when nothing waits: then the watch stands where everything that came has led.
    private bool TryPeek(out Came came, out int offset)
    {
        lock (_lock)
        {
            offset = _offset;
            if (_queue.TryPeek(out came))
            {
                return true;
            }

            foreach (RemoteShard shard in _shards)
            {
                shard.Given = shard.Received;
            }

            return _failure is null ? false : throw _failure;
        }
    }

    // Whole versions only; one that was not given whole comes again.
    private void ReadRecord(Came came, int offset, IWatchReceiver receiver, ref ReadBudget budget)
    {
        var reader = new EventsReader(came.Events.AsSpan(offset));
        int end = offset;
        bool more = reader.MoveNext();
        while (more && budget.IsLeft)
        {
            ShardId shard = reader.Shard;
            Core.Version version = reader.Version;
            do
            {
                WatchEventView view = reader.Current;
                receiver.OnEvent(view);
                budget.Take(1, view.Key.Length + view.Value.Length + view.PreviousValue.Length);
                end = offset + reader.Position;
                more = reader.MoveNext();
            }
            while (more && !reader.IsFirst);
            OnGiven(shard, version, end);
        }

        if (!more)
        {
            OnRead(came);
        }
    }

    private void OnGiven(ShardId shard, Core.Version version, int offset)
    {
        lock (_lock)
        {
            _offset = offset;
            if (_shards.Find(s => s.Shard == shard) is { } found)
            {
                found.Given = version.Next;
            }
        }
    }

    private void OnRead(Came came)
    {
        bool grants;
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }

            _queue.Dequeue();
            _offset = 0;
            _watches.Release(came.Events.Length);
            grants = came.By.Consume(came.Events.Length, _watches.Window) && IsOpen(came.By);
            if (grants)
            {
                came.By.SaidMs = _watches.NowMs;
            }
        }

        if (grants)
        {
            _watches.Grant(came.By);
        }
    }

    private static bool IsOpen(Subscription subscription) =>
        subscription.Shards.Count > 0 && subscription.Shards[0].Source == subscription;
}
