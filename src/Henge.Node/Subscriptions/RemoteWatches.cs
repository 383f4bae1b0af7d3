using System.Buffers.Binary;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Watch;
using Henge.Raft;

namespace Henge.Node.Subscriptions;

/// <summary>
/// The remote parts of this node's watches: hands them what comes, sends what they have to say, and shares the node's memory for events
/// among them. Thread-safe.
/// </summary>
internal sealed class RemoteWatches : IRemoteWatches
{
    private readonly NodeContext _node;
    private readonly SubscriptionOutbox _outbox;
    private readonly Lock _lock = new();
    private readonly Dictionary<ulong, Subscription> _open = [];
    private readonly HashSet<RemoteShards> _watches = [];
    private readonly SplitMix64Random _random;
    private readonly Func<ShardId, bool> _isHere;
    private ulong _lastId;
    private long _bytes;
    private int _count;

    public RemoteWatches(
        NodeContext node,
        WatchOptions options,
        IShardSources sources,
        SubscriptionOutbox outbox,
        Func<ShardId, bool> isHere)
    {
        (_node, Options, Sources, _outbox, _isHere) = (node, options, sources, outbox, isHere);
        _random = new SplitMix64Random(node.Environment.Seed ^ 0x5AB5_C81B);

        // Begins anywhere, anew at each start: a record of before a restart must not pass for one of after it.
        _lastId = _random.NextUInt64() << 20;
    }

    /// <summary>Bounds of watching.</summary>
    public WatchOptions Options { get; }

    /// <summary>Which other nodes carry which shard.</summary>
    public IShardSources Sources { get; }

    /// <summary>This node.</summary>
    public NodeId Self => _node.Self;

    /// <summary>Deliberate bugs.</summary>
    public NodeBugs Bugs => _node.Options.Bugs;

    /// <summary>The node's clock.</summary>
    public long NowMs => _node.MonotonicMs;

    /// <summary>How long a watch may take to open.</summary>
    public long OpenMs => _node.Options.DefaultDeadlineMs;

    /// <summary>Bytes of events that one subscription may have under way or waiting.</summary>
    public int Window => (int)Math.Clamp(
        Options.RemoteTotalBytes / Math.Max(1, Volatile.Read(ref _count)), Options.RemoteMinWindowBytes, Options.RemoteWindowBytes);

    /// <summary>True when watches that had to give up events for lack of memory may ask for them again.</summary>
    public bool HasRoom => Interlocked.Read(ref _bytes) < Options.RemoteTotalBytes;

    /// <summary>Bytes of events that wait to be read.</summary>
    public long WaitingBytes => Interlocked.Read(ref _bytes);

    /// <summary>Subscriptions that are open.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <inheritdoc/>
    public IRemoteShards Create(WatchQuery query, bool mustOpen, Action onAvailable)
    {
        var created = new RemoteShards(this, query, mustOpen, onAvailable);
        lock (_lock)
        {
            _watches.Add(created);
        }

        return created;
    }

    /// <inheritdoc/>
    public bool HasSource(ShardId shard)
    {
        List<NodeId> nodes = [];
        Sources.AddNodes(shard, nodes);
        return nodes.Count > 0;
    }

    /// <summary>True when this node carries a shard.</summary>
    public bool IsHere(ShardId shard) => _isHere(shard);

    /// <summary>Takes memory for events; false when there is none left.</summary>
    public bool TryReserve(int bytes)
    {
        if (Interlocked.Add(ref _bytes, bytes) <= 2 * Options.RemoteTotalBytes || bytes == 0)
        {
            return true;
        }

        Release(bytes);
        return false;
    }

    /// <summary>Gives it back.</summary>
    public void Release(int bytes) => Interlocked.Add(ref _bytes, -bytes);

    /// <summary>A number to choose by.</summary>
    public ulong NextChoice()
    {
        lock (_lock)
        {
            return _random.NextUInt64();
        }
    }

    /// <summary>A subscription that is about to be opened.</summary>
    public Subscription NewSubscription(RemoteShards owner, NodeId node)
    {
        lock (_lock)
        {
            var subscription = new Subscription(owner, ++_lastId, node, Window);
            _open.Add(subscription.Id, subscription);
            _count = _open.Count;
            return subscription;
        }
    }

    /// <summary>Asks for events.</summary>
    public void Open(List<(Subscription Subscription, WatchOpening Opening)> opened)
    {
        if (opened.Count > 0)
        {
            opened.ForEach(o => _outbox.Open(o.Subscription.Node, o.Opening));
            _outbox.Flush();
        }
    }

    /// <summary>Lets the other node send more.</summary>
    public void Grant(Subscription subscription)
    {
        Say(subscription);
        _outbox.Flush();
    }

    /// <summary>Says that this node is there, with the next flush.</summary>
    public void Say(Subscription subscription) => _outbox.Credit(subscription.Node, subscription.Id, subscription.Granted);

    /// <summary>Takes nothing more of a subscription, and tells its node.</summary>
    public void Close(Subscription subscription)
    {
        Forget(subscription);
        _outbox.Close(subscription.Node, subscription.Id);
        _outbox.Flush();
    }

    /// <summary>Takes nothing more of a subscription.</summary>
    public void Forget(Subscription subscription)
    {
        lock (_lock)
        {
            _open.Remove(subscription.Id);
            _count = _open.Count;
        }
    }

    /// <summary>A watch has ended.</summary>
    public void Remove(RemoteShards watch, List<Subscription> open)
    {
        lock (_lock)
        {
            _watches.Remove(watch);
        }

        open.ForEach(Close);
    }

    /// <summary>Events have come, or only word of a node that serves. What makes no sense is dropped, as if it had been lost.</summary>
    public void OnEvents(NodeId from, ReadOnlySpan<byte> body)
    {
        var reader = new SpanReader(body);
        if (!reader.TryReadUInt64(out ulong id)
            || !reader.TryReadUInt64(out ulong serving)
            || !reader.TryReadUInt64(out ulong sequence)
            || Find(from, id) is not { } subscription)
        {
            return;
        }

        var positions = new List<ShardPosition>();
        for (ulong count = reader.ReadVarint((ulong)_node.Shards.Count); count > 0 && !reader.Failed; count--)
        {
            var shard = new ShardId((uint)reader.ReadVarint((ulong)_node.Shards.Count - 1));
            positions.Add(new ShardPosition(shard, new Core.Version(reader.ReadVarint(Core.Version.MaxValue + 1))));
        }

        ReadOnlySpan<byte> events = reader.Rest;
        if (!reader.Failed && IsWellFormed(events))
        {
            subscription.Owner.OnEvents(subscription, serving, sequence, positions, events);
        }
    }

    /// <summary>A node gives no more events.</summary>
    public void OnEnd(NodeId from, ReadOnlySpan<byte> body)
    {
        if (body.Length >= 9 && Find(from, BinaryPrimitives.ReadUInt64LittleEndian(body)) is { } subscription)
        {
            ErrorCode error = Enum.IsDefined((ErrorCode)body[8]) && body[8] != 0 ? (ErrorCode)body[8] : ErrorCode.Unavailable;
            subscription.Owner.OnEnd(subscription, error, Encoding.UTF8.GetString(body[9..]));
        }
    }

    /// <summary>The connection to a node broke.</summary>
    public void OnDisconnected(NodeId peer)
    {
        foreach (RemoteShards watch in Watches())
        {
            watch.OnDisconnected(peer);
        }
    }

    /// <summary>Looks after all of them, now and then.</summary>
    public void Tick(long nowMs)
    {
        foreach (RemoteShards watch in Watches())
        {
            watch.Tick(nowMs);
        }

        _outbox.Flush();
    }

    private static bool IsWellFormed(ReadOnlySpan<byte> events)
    {
        var reader = new EventsReader(events);
        while (reader.MoveNext())
        {
        }

        return !reader.Failed;
    }

    private RemoteShards[] Watches()
    {
        lock (_lock)
        {
            return _watches.Count == 0 ? [] : [.. _watches];
        }
    }

    private Subscription? Find(NodeId from, ulong id)
    {
        lock (_lock)
        {
            return _open.TryGetValue(id, out Subscription? subscription) && subscription.Node == from ? subscription : null;
        }
    }
}
