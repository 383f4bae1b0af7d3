using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;

namespace Henge.Node.Peers;

/// <summary>
/// Gathers the messages of this node's doors into one frame for each peer, so that what was published together leaves together, and hands
/// the doors those of peers. Thread-safe.
/// </summary>
internal sealed class PeerMessages(NodeContext node) : IPeerMessages
{
    private const int FrameBytes = 256 * 1024;
    private readonly Lock _gate = new();
    private readonly MemberMap<Outgoing?> _peers = new();
    private volatile bool _pending;

    /// <inheritdoc/>
    public PeerMessageHandler? Receiver { get; set; }

    /// <inheritdoc/>
    public void Post(ReadOnlySpan<byte> head, ReadOnlySpan<byte> body)
    {
        if (node.IsStopping || node.IsDead)
        {
            return;
        }

        lock (_gate)
        {
            foreach (MemberInfo member in node.Members.Current)
            {
                if (member.Id == node.Self)
                {
                    continue;
                }

                Outgoing peer = _peers[member.Id] ??= new Outgoing(new PeerFrameBuilder(node.Sender, member.Id));
                if (!peer.Frame.IsEmpty && peer.Frame.Bytes + head.Length + body.Length > FrameBytes)
                {
                    Send(member.Id, peer);
                }

                PeerFrameBuilder frame = peer.Frame;
                frame.BeginRecord(PeerRecordKind.Message, ShardId.Catalog);
                head.CopyTo(frame.GetSpan(head.Length));
                frame.Advance(head.Length);
                body.CopyTo(frame.GetSpan(body.Length));
                frame.Advance(body.Length);
                frame.EndRecord();
                peer.Messages++;
                _pending = true;
            }
        }
    }

    /// <inheritdoc/>
    public void Flush()
    {
        if (!_pending)
        {
            return;
        }

        lock (_gate)
        {
            _pending = false;
            foreach (MemberInfo member in node.Members.Current)
            {
                if (_peers[member.Id] is { Frame.IsEmpty: false } peer)
                {
                    Send(member.Id, peer);
                }
            }
        }
    }

    /// <inheritdoc/>
    public long DroppedFor(NodeId peer) =>
        peer.Value <= MemberTable.MostIds && _peers[peer] is { } known ? Interlocked.Read(ref known.Dropped) : 0;

    /// <summary>A message of a peer has come.</summary>
    public void OnMessage(NodeId from, ReadOnlySpan<byte> message) => Receiver?.Invoke(from, message);

    private void Send(NodeId to, Outgoing peer)
    {
        if (node.Environment.Transport?.SendMessages(to, peer.Frame.Complete(node.Incarnations.Of(to))) != true)
        {
            Interlocked.Add(ref peer.Dropped, peer.Messages);
        }

        peer.Messages = 0;
        peer.Frame.Clear();
    }

    private sealed class Outgoing(PeerFrameBuilder frame)
    {
        public long Dropped;

        public PeerFrameBuilder Frame => frame;

        public int Messages { get; set; }
    }
}
