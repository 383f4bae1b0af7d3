using System.Buffers.Binary;
using System.Text;
using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Peers;

namespace Henge.Node.Subscriptions;

/// <summary>
/// What both sides of subscriptions say, but events: gathered into a frame for each node, which leaves with <see cref="Flush"/>. What is
/// lost is said again, or found missing. Thread-safe.
/// </summary>
internal sealed class SubscriptionOutbox(NodeContext node)
{
    private const int FrameBytes = 64 * 1024;
    private const int MaxMessageBytes = 1024;
    private readonly Lock _lock = new();
    private readonly Dictionary<NodeId, PeerFrameBuilder> _frames = [];

    /// <summary>Asks a node for events.</summary>
    public void Open(NodeId to, WatchOpening opening)
    {
        lock (_lock)
        {
            PeerFrameBuilder frame = Begin(to, PeerRecordKind.WatchOpen);
            opening.Write(frame);
            End(to, frame);
        }
    }

    /// <summary>Says how many bytes of events may be sent, counted from the beginning, and that the asking node is there.</summary>
    public void Credit(NodeId to, ulong subscription, ulong bytes)
    {
        lock (_lock)
        {
            PeerFrameBuilder frame = Begin(to, PeerRecordKind.WatchCredit);
            Span<byte> body = frame.GetSpan(16);
            BinaryPrimitives.WriteUInt64LittleEndian(body, subscription);
            BinaryPrimitives.WriteUInt64LittleEndian(body[8..], bytes);
            frame.Advance(16);
            End(to, frame);
        }
    }

    /// <summary>Says that the asking node wants no more events.</summary>
    public void Close(NodeId to, ulong subscription)
    {
        lock (_lock)
        {
            PeerFrameBuilder frame = Begin(to, PeerRecordKind.WatchClose);
            BinaryPrimitives.WriteUInt64LittleEndian(frame.GetSpan(8), subscription);
            frame.Advance(8);
            End(to, frame);
        }
    }

    /// <summary>Says that no more events come, and why.</summary>
    public void EndOf(NodeId to, ulong subscription, ErrorCode error, string message)
    {
        lock (_lock)
        {
            PeerFrameBuilder frame = Begin(to, PeerRecordKind.WatchEnd);
            Span<byte> body = frame.GetSpan(9);
            BinaryPrimitives.WriteUInt64LittleEndian(body, subscription);
            body[8] = (byte)error;
            frame.Advance(9);
            byte[] text = Encoding.UTF8.GetBytes(message);
            ReadOnlySpan<byte> told = text.AsSpan(0, Math.Min(text.Length, MaxMessageBytes));
            told.CopyTo(frame.GetSpan(told.Length));
            frame.Advance(told.Length);
            End(to, frame);
        }
    }

    /// <summary>Sends what was gathered.</summary>
    public void Flush()
    {
        lock (_lock)
        {
            foreach ((NodeId to, PeerFrameBuilder frame) in _frames)
            {
                Send(to, frame);
            }
        }
    }

    private PeerFrameBuilder Begin(NodeId to, PeerRecordKind kind)
    {
        if (!_frames.TryGetValue(to, out PeerFrameBuilder? frame))
        {
            frame = new PeerFrameBuilder(node.Sender, to);
            _frames.Add(to, frame);
        }

        frame.BeginRecord(kind, ShardId.Catalog);
        return frame;
    }

    private void End(NodeId to, PeerFrameBuilder frame)
    {
        frame.EndRecord();
        if (frame.Bytes >= FrameBytes)
        {
            Send(to, frame);
        }
    }

    private void Send(NodeId to, PeerFrameBuilder frame)
    {
        if (!frame.IsEmpty)
        {
            node.Environment.Transport?.Send(to, frame.Complete(node.Incarnations.Of(to)));
            frame.Clear();
        }
    }
}
