using Henge.Core;

namespace Henge.Node.Context;

/// <summary>
/// Carries frames between nodes that have accepted each other's hello (<see cref="IPeerReceiver.OnHello"/>). It may lose, repeat, delay and
/// reorder them, but never changes one unnoticed: a frame carries its own checksum. Thread-safe.
/// </summary>
public interface IPeerTransport
{
    /// <summary>Begins to deliver frames; called once, before anything is sent.</summary>
    void Start(IPeerReceiver receiver);

    /// <summary>
    /// Says where a peer is reached from now on; also before <see cref="Start"/>, and again for what is known. A transport that reaches
    /// every node by its number need not listen.
    /// </summary>
    /// <param name="peer">The peer; with an empty address it is not one any more: nothing is sent to it or taken from it.</param>
    /// <param name="otherAddress">Where it is tried when it does not answer at its address; may be empty.</param>
    void SetPeer(Api.NodeEntry peer, string otherAddress)
    {
        // Nothing to do for such a transport.
    }

    /// <summary>
    /// Takes a copy of a frame to send. Never blocks: false when the frame was dropped, because the peer cannot be reached or too many
    /// bytes wait for it; then nothing of it has left or will. Frames of one caller's thread to one peer leave in order.
    /// </summary>
    bool Send(NodeId to, ReadOnlySpan<byte> frame);

    /// <summary>
    /// As <see cref="Send"/>, for frames that are not repeated and must not delay others: fewer bytes of them may wait.
    /// </summary>
    bool SendMessages(NodeId to, ReadOnlySpan<byte> frame) => Send(to, frame);
}

/// <summary>Takes what a transport delivers. Thread-safe; calls for one connection come one at a time. Must be quick.</summary>
public interface IPeerReceiver
{
    /// <summary>
    /// The hello to a peer: the first frame on a connection that this node opened, and the answer to one that it was sent. At most
    /// <c>PeerFrame.MaxHelloBytes</c>.
    /// </summary>
    byte[] HelloTo(NodeId peer);

    /// <summary>
    /// Compares a peer's hello with this node's own: only a peer that is accepted may be sent anything else, or be heard. What is refused
    /// has been told to the operator; the transport answers the hello in either case, so that the peer's operator learns of it as well, and
    /// then closes the connection.
    /// </summary>
    /// <param name="frame">The first frame that came.</param>
    /// <param name="peer">Who says to have sent it.</param>
    bool OnHello(ReadOnlySpan<byte> frame, out NodeId peer);

    /// <summary>A frame has come. The span is valid during the call only. Who sent it stands in the frame.</summary>
    void OnFrame(ReadOnlySpan<byte> frame);

    /// <summary>The stream to a peer broke: what was sent on it and not answered may never be answered.</summary>
    void OnDisconnected(NodeId peer);
}
