using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Node.Watch;

namespace Henge.Node.Subscriptions;

/// <summary>
/// Watches over shards that other nodes carry, both sides of it (docs/decisions/0194-watches-from-any-node.md). Frames may be lost,
/// repeated and reordered. Thread-safe.
/// </summary>
/// <param name="node">The node.</param>
/// <param name="remote">What this node asks others for.</param>
/// <param name="served">What others ask this node for.</param>
internal sealed class WatchSubscriptions(NodeContext node, RemoteWatches remote, ServedWatches served)
{
    private const long TickMs = 200;
    private long _tickedMs;

    /// <summary>What this node asks others for.</summary>
    public RemoteWatches Remote => remote;

    /// <summary>What others ask this node for.</summary>
    public ServedWatches Served => served;

    /// <summary>True for the records that it takes.</summary>
    public static bool Takes(PeerRecordKind kind) => kind is >= PeerRecordKind.WatchOpen and <= PeerRecordKind.WatchClose;

    /// <summary>A record of a peer has come. On the transport's thread.</summary>
    public void OnRecord(NodeId from, PeerRecordKind kind, ReadOnlySpan<byte> body)
    {
        switch (kind)
        {
            case PeerRecordKind.WatchOpen:
                served.OnOpen(from, body);
                break;
            case PeerRecordKind.WatchEvents:
                remote.OnEvents(from, body);
                break;
            case PeerRecordKind.WatchCredit:
                served.OnCredit(from, body);
                break;
            case PeerRecordKind.WatchEnd:
                remote.OnEnd(from, body);
                break;
            case PeerRecordKind.WatchClose:
                served.OnClose(from, body);
                break;
            default:
                break;
        }
    }

    /// <summary>The connection to a node broke.</summary>
    public void OnDisconnected(NodeId peer)
    {
        served.OnDisconnected(peer);
        remote.OnDisconnected(peer);
    }

    /// <summary>Time may have passed. Called on the thread that ticks.</summary>
    public void Tick()
    {
        long now = node.MonotonicMs;
        if (now - _tickedMs >= TickMs)
        {
            _tickedMs = now;
            served.Tick(now);
            remote.Tick(now);
        }
    }

    /// <summary>Serves nothing more; calls when nothing of it runs any more.</summary>
    public void Stop(Action stopped) => served.Stop(stopped);
}
