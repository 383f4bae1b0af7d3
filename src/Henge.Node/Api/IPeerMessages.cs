using Henge.Core;

namespace Henge.Node.Api;

/// <summary>Takes a message of a peer. The span is valid during the call only. Must be quick: it runs on the transport's thread.</summary>
public delegate void PeerMessageHandler(NodeId from, ReadOnlySpan<byte> message);

/// <summary>
/// Messages from the doors of one node to the doors of all others: not in the log, not on disk, each delivered at most once. What cannot
/// leave at once is dropped and counted (docs/decisions/0160-publish-at-most-once.md). Messages of one node to another keep their order.
/// Thread-safe.
/// </summary>
public interface IPeerMessages
{
    /// <summary>Takes the messages of peers; null: they are discarded.</summary>
    PeerMessageHandler? Receiver { get; set; }

    /// <summary>
    /// Takes a copy of a message for all other members; its bytes are those of both parts, one behind the other. It leaves with the next
    /// <see cref="Flush"/>, or earlier. Never blocks.
    /// </summary>
    void Post(ReadOnlySpan<byte> head, ReadOnlySpan<byte> body);

    /// <summary>Hands what was posted to the transport. Free of cost when there is nothing. Never blocks.</summary>
    void Flush();

    /// <summary>Messages that did not leave for a peer, because it could not be reached or too much waited.</summary>
    long DroppedFor(NodeId peer);
}
