using System.Buffers.Binary;
using System.Collections.Concurrent;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Node.Watch;

namespace Henge.Node.Subscriptions;

/// <summary>
/// Reads for subscriptions of other nodes, one after another, and sends what it has read. Its memory is one record and one frame for each
/// node, whatever the number of subscriptions.
/// </summary>
internal sealed class ServingLane(NodeContext node, WatchService watches, WatchOptions options, Func<AccessView> access, int number)
    : IWorkItem
{
    private const int FrameBytes = 256 * 1024;
    private const int ServedAtOnce = 64;
    private readonly ConcurrentQueue<ServedWatch> _ready = new();
    private readonly EventsWriter _events = new(node.Shards, options);
    private readonly Dictionary<NodeId, Outgoing> _frames = [];
    private Action? _stopped;
    private int _scheduled;

    /// <summary>Called when a subscription cannot be served any more, with why.</summary>
    public Action<ServedWatch, HengeException>? Failed { get; set; }

    /// <summary>Looks after a subscription soon. Thread-safe.</summary>
    public void Add(ServedWatch served)
    {
        _ready.Enqueue(served);
        Schedule();
    }

    /// <summary>Does nothing more, and calls when it does nothing any more. Thread-safe.</summary>
    public void Stop(Action stopped)
    {
        Volatile.Write(ref _stopped, stopped);
        Schedule();
    }

    /// <summary>Sends the frame to a node when so many bytes more would be too many for it.</summary>
    public void MakeRoom(NodeId to, int bytes)
    {
        if (_frames.TryGetValue(to, out Outgoing? outgoing) && outgoing.Frame.Bytes + bytes > FrameBytes)
        {
            Flush(to, outgoing);
        }
    }

    /// <summary>Adds what a subscription has to say to the frame of its node.</summary>
    public void Tell(ServedWatch served, ulong sequence, List<ShardPosition> positions, ReadOnlySpan<byte> events)
    {
        if (!_frames.TryGetValue(served.Peer, out Outgoing? outgoing))
        {
            outgoing = new Outgoing(new PeerFrameBuilder(node.Sender, served.Peer));
            _frames.Add(served.Peer, outgoing);
        }

        PeerFrameBuilder frame = outgoing.Frame;
        frame.BeginRecord(PeerRecordKind.WatchEvents, ShardId.Catalog);
        Span<byte> numbers = frame.GetSpan(24);
        BinaryPrimitives.WriteUInt64LittleEndian(numbers, served.Id);
        BinaryPrimitives.WriteUInt64LittleEndian(numbers[8..], served.Serving);
        BinaryPrimitives.WriteUInt64LittleEndian(numbers[16..], sequence);
        frame.Advance(24);
        frame.WriteVarint((ulong)positions.Count);
        foreach (ShardPosition position in positions)
        {
            frame.WriteVarint(position.Shard.Value);
            frame.WriteVarint(position.Next.Value);
        }

        events.CopyTo(frame.GetSpan(events.Length));
        frame.Advance(events.Length);
        frame.EndRecord();
        outgoing.Served.Add(served);
    }

    /// <inheritdoc/>
    public void Run()
    {
        if (!node.IsDead && Volatile.Read(ref _stopped) is null)
        {
            try
            {
                ServeSome();
            }
            catch (Exception e)
            {
                node.Fatal($"Serving watches of other nodes failed: {e.Message}", e);
            }
        }

        if (Interlocked.Exchange(ref _stopped, null) is { } stopped)
        {
            // Stays scheduled for ever: it is never entered again.
            stopped();
            return;
        }

        Interlocked.Exchange(ref _scheduled, 0);
        if (!node.IsDead && (!_ready.IsEmpty || Volatile.Read(ref _stopped) is not null))
        {
            Schedule();
        }
    }

    private void ServeSome()
    {
        long now = node.MonotonicMs;
        AccessView view = node.Options.Bugs.TrustsOldChecks ? AccessView.None : access();
        for (int i = 0; i < ServedAtOnce && _ready.TryDequeue(out ServedWatch? served); i++)
        {
            try
            {
                served.Serve(watches, options, _events, view, now);
            }
            catch (HengeException e)
            {
                served.Release();
                Failed?.Invoke(served, e);
            }
        }

        foreach ((NodeId to, Outgoing outgoing) in _frames)
        {
            Flush(to, outgoing);
        }
    }

    private void Flush(NodeId to, Outgoing outgoing)
    {
        if (outgoing.Frame.IsEmpty)
        {
            return;
        }

        bool sent = node.Environment.Transport?.SendMessages(to, outgoing.Frame.Complete(node.Incarnations.Of(to))) == true;
        outgoing.Frame.Clear();
        long now = node.MonotonicMs;
        foreach (ServedWatch served in outgoing.Served)
        {
            served.OnFlushed(sent, now);
        }

        outgoing.Served.Clear();
    }

    private void Schedule()
    {
        if (Interlocked.Exchange(ref _scheduled, 1) == 0)
        {
            node.Environment.Readers.Schedule(number, this);
        }
    }

    private sealed class Outgoing(PeerFrameBuilder frame)
    {
        public PeerFrameBuilder Frame => frame;

        public List<ServedWatch> Served { get; } = [];
    }
}
