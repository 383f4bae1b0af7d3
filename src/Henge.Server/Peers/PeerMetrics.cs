using System.Diagnostics.Metrics;
using Henge.Node.Api;
using Henge.Server.Metrics;

namespace Henge.Server.Peers;

/// <summary>Shows a node's connections to its peers as instruments of a meter.</summary>
internal static class PeerMetrics
{
    /// <summary>Creates the instruments; they read the transport at each collection.</summary>
    public static void Observe(Meter meter, IHengeNode node, PeerTransport transport, IPeerMessages? messages = null)
    {
        IEnumerable<Measurement<long>> Each(Func<PeerConnection, long> read) => transport.Connections.Select(c => NodeMetrics.With(read(c),
            "henge.peer", NodeMetrics.NameOf(node, c.Peer)));
        meter.CreateObservableGauge("henge.peer.connected", () => Each(static c => c.IsConnected ? 1 : 0), "{state}", "1 while this node "
            + "can send to the peer.");
        meter.CreateObservableGauge("henge.peer.queue.size", () => Each(static c => c.QueuedBytes), "By", "Bytes that wait to leave for "
            + "the peer.");
        meter.CreateObservableCounter("henge.peer.frames.dropped", () => Each(static c => c.Dropped), "{frame}", "Frames that were dropped "
            + "because there was no connection or too much waited.");
        meter.CreateObservableCounter(
            "henge.peer.messages.dropped", () => Each(c => messages?.DroppedFor(c.Peer) ?? 0), "{message}", "Published messages that did "
                + "not leave for the peer, because it could not be reached or too much waited.");
    }
}
