using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Context;
using Henge.Node.Watch;
using Henge.Raft;

namespace Henge.Node.Subscriptions;

/// <summary>
/// Serves subscriptions of other nodes, and bounds their number. A node that is not heard any more is served no longer. Thread-safe.
/// </summary>
internal sealed class ServedWatches
{
    private readonly NodeContext _node;
    private readonly WatchOptions _options;
    private readonly SubscriptionOutbox _outbox;
    private readonly ServingLane[] _lanes;
    private readonly Lock _lock = new();
    private readonly Dictionary<(NodeId Peer, ulong Id), ServedWatch> _served = [];
    private readonly Dictionary<NodeId, int> _ofPeer = [];
    private readonly List<ServedWatch> _taken = [];
    private ulong _lastServing;

    public ServedWatches(
        NodeContext node,
        WatchService watches,
        WatchOptions options,
        SubscriptionOutbox outbox,
        Func<AccessView> access)
    {
        (_node, _options, _outbox) = (node, options, outbox);

        // Begins anywhere, anew at each start.
        _lastServing = new SplitMix64Random(node.Environment.Seed ^ 0x5E4D_1A6E).NextUInt64() << 20;
        _lanes =
        [
            .. Enumerable
                .Range(0, Math.Max(1, node.Options.Workers))
                .Select(i => new ServingLane(node, watches, options, access, i) { Failed = OnFailed }),
        ];
    }

    /// <summary>How many are served.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _served.Count;
            }
        }
    }

    /// <summary>A node asks for events.</summary>
    public void OnOpen(NodeId from, ReadOnlySpan<byte> body)
    {
        if (!WatchOpening.TryRead(body, _node.Shards.Count, _node.Options.Limits.KeyBytes, out WatchOpening? opening))
        {
            return;
        }

        ServedWatch? served = null;
        lock (_lock)
        {
            int ofPeer = _ofPeer.GetValueOrDefault(from);
            if (_served.ContainsKey((from, opening.Id)))
            {
                return;
            }

            if (ofPeer < _options.ServedOfPeer && _served.Count < _options.Served)
            {
                ServingLane lane = _lanes[(int)(opening.Id % (ulong)_lanes.Length)];
                served = new ServedWatch(from, opening, ++_lastServing, lane, _node.MonotonicMs);
                _served.Add((from, opening.Id), served);
                _ofPeer[from] = ofPeer + 1;
            }
        }

        if (served is not null)
        {
            served.Wake();
            return;
        }

        _outbox.EndOf(
            from,
            opening.Id,
            ErrorCode.ResourceExhausted,
            $"The node serves {_options.ServedOfPeer} watches of one other node and {_options.Served} in all, which is its limit.");
        _outbox.Flush();
    }

    /// <summary>A node takes more events, and is there.</summary>
    public void OnCredit(NodeId from, ReadOnlySpan<byte> body)
    {
        if (body.Length != 16)
        {
            return;
        }

        ulong id = BinaryPrimitives.ReadUInt64LittleEndian(body);
        if (Find(from, id) is { } served)
        {
            served.OnCredit(BinaryPrimitives.ReadUInt64LittleEndian(body[8..]), _node.MonotonicMs);
            return;
        }

        // Of before this node started, or its opening was lost.
        _outbox.EndOf(from, id, ErrorCode.Unavailable, "The node does not serve this watch.");
        _outbox.Flush();
    }

    /// <summary>A node wants no more events.</summary>
    public void OnClose(NodeId from, ReadOnlySpan<byte> body)
    {
        if (body.Length == 8 && Find(from, BinaryPrimitives.ReadUInt64LittleEndian(body)) is { } served)
        {
            Remove(served);
        }
    }

    /// <summary>The connection to a node broke: it will ask again.</summary>
    public void OnDisconnected(NodeId peer) => RemoveAll((served, _) => served.Peer == peer);

    /// <summary>Lets go of who is not heard, and has the others say now and then that they are there.</summary>
    public void Tick(long nowMs)
    {
        RemoveAll((served, options) => nowMs - served.HeardMs >= options.RemoteSilenceMs);
        lock (_lock)
        {
            foreach (ServedWatch served in _served.Values)
            {
                served.Tick(nowMs, _options.RemoteIntervalMs);
            }
        }
    }

    /// <summary>Serves nothing more; calls when nothing of it runs any more.</summary>
    public void Stop(Action stopped)
    {
        int missing = _lanes.Length;
        foreach (ServingLane lane in _lanes)
        {
            lane.Stop(() =>
            {
                if (Interlocked.Decrement(ref missing) == 0)
                {
                    lock (_lock)
                    {
                        foreach (ServedWatch served in _served.Values)
                        {
                            served.Release();
                        }

                        _served.Clear();
                        _ofPeer.Clear();
                    }

                    stopped();
                }
            });
        }
    }

    private ServedWatch? Find(NodeId peer, ulong id)
    {
        lock (_lock)
        {
            return _served.GetValueOrDefault((peer, id));
        }
    }

    private void RemoveAll(Func<ServedWatch, WatchOptions, bool> which)
    {
        lock (_lock)
        {
            _taken.Clear();
            foreach (ServedWatch served in _served.Values)
            {
                if (which(served, _options))
                {
                    _taken.Add(served);
                }
            }

            _taken.ForEach(RemoveLocked);
        }
    }

    private void Remove(ServedWatch served)
    {
        lock (_lock)
        {
            RemoveLocked(served);
        }
    }

    private void RemoveLocked(ServedWatch served)
    {
        if (_served.Remove((served.Peer, served.Id)))
        {
            int left = _ofPeer[served.Peer] - 1;
            if (left == 0)
            {
                _ofPeer.Remove(served.Peer);
            }
            else
            {
                _ofPeer[served.Peer] = left;
            }

            served.Close();
        }
    }

    private void OnFailed(ServedWatch served, HengeException error)
    {
        Remove(served);
        _outbox.EndOf(served.Peer, served.Id, error.Code, error.Message);
        _outbox.Flush();
    }
}
