using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Watch;

namespace Henge.Node.Subscriptions;

/// <summary>
/// A watch over some of this node's shards whose events another node gets. It holds no events: they are read when they can be sent, and
/// read again when they could not. It belongs to its <see cref="ServingLane"/>; what others say to it is a number or a flag.
/// </summary>
/// <param name="peer">Who asked.</param>
/// <param name="opening">For what.</param>
/// <param name="serving">A number that no other one has: an opening that comes again later begins another one.</param>
/// <param name="lane">Who reads for it.</param>
/// <param name="nowMs">The node's clock.</param>
internal sealed class ServedWatch(NodeId peer, WatchOpening opening, ulong serving, ServingLane lane, long nowMs)
{
    private readonly List<ShardPosition> _now = [];
    private readonly ShardPosition[] _told = [.. opening.Positions];
    private readonly ShardPosition[] _sent = [.. opening.Positions];
    private NodeWatch? _watch;
    private AccessView? _checked;
    private ulong _credit = opening.Credit;
    private ulong _toldBytes;
    private ulong _sentBytes;
    private ulong _toldSequence;
    private ulong _sentSequence;
    private long _heardMs = nowMs;
    private long _saidMs;
    private long _notBeforeMs;
    private int _isQueued;
    private int _isClosed;

    /// <summary>Who asked.</summary>
    public NodeId Peer => peer;

    /// <summary>The asking node's number for it.</summary>
    public ulong Id => opening.Id;

    /// <summary>This serving's own number.</summary>
    public ulong Serving => serving;

    /// <summary>True once nothing more is to be sent.</summary>
    public bool IsClosed => Volatile.Read(ref _isClosed) != 0;

    /// <summary>When its asking node was last heard.</summary>
    public long HeardMs => Volatile.Read(ref _heardMs);

    /// <summary>Has its lane look after it. Any thread.</summary>
    public void Wake()
    {
        if (Interlocked.Exchange(ref _isQueued, 1) == 0)
        {
            lane.Add(this);
        }
    }

    /// <summary>The asking node is there, and takes so many bytes in all. Any thread.</summary>
    public void OnCredit(ulong bytes, long nowMs)
    {
        Volatile.Write(ref _heardMs, nowMs);
        if (bytes > Volatile.Read(ref _credit))
        {
            Volatile.Write(ref _credit, bytes);
            Wake();
        }
    }

    /// <summary>Nothing more is to be sent. Any thread.</summary>
    public void Close()
    {
        Volatile.Write(ref _isClosed, 1);
        Wake();
    }

    /// <summary>Has it say that it is there when it has said nothing for long. Any thread.</summary>
    public void Tick(long nowMs, long intervalMs)
    {
        if (nowMs - Volatile.Read(ref _saidMs) >= intervalMs || Volatile.Read(ref _notBeforeMs) != 0)
        {
            Wake();
        }
    }

    /// <summary>
    /// Reads what there is and may be sent, into a record of its lane's. Throws <see cref="HengeException"/> when it cannot go on.
    /// </summary>
    public void Serve(WatchService watches, WatchOptions options, EventsWriter events, AccessView access, long nowMs)
    {
        Volatile.Write(ref _isQueued, 0);
        if (IsClosed)
        {
            Release();
            return;
        }

        // Who asked may not know yet that the right to it was taken away.
        if (access != _checked && AccessCheck.CheckServed(access, opening.Query) is { } problem)
        {
            throw problem;
        }

        _checked = access;

        if (nowMs < _notBeforeMs)
        {
            return;
        }

        Volatile.Write(ref _notBeforeMs, 0);
        _watch ??= watches.OpenFor(opening.Query, _told, Wake);
        ulong credit = Volatile.Read(ref _credit);
        bool any = false;
        events.Clear();
        if (credit > _toldBytes)
        {
            int bytes = (int)Math.Min(credit - _toldBytes, (ulong)options.ServedBytes);
            any = _watch.TryRead(events, options.ServedItems, bytes);
        }

        if (any || _toldSequence == 0 || nowMs - _saidMs >= options.RemoteIntervalMs)
        {
            Tell(events.Written, nowMs);
        }

        if (any)
        {
            Wake();
        }
    }

    /// <summary>The frame with what it said last has left, or it has not: then all of that is read again, a little later.</summary>
    public void OnFlushed(bool sent, long nowMs)
    {
        if (sent)
        {
            (_sentSequence, _sentBytes) = (_toldSequence, _toldBytes);
            _told.CopyTo(_sent, 0);
            return;
        }

        Release();
        (_toldSequence, _toldBytes) = (_sentSequence, _sentBytes);
        _sent.CopyTo(_told, 0);
        Volatile.Write(ref _notBeforeMs, nowMs + 1);
    }

    /// <summary>Lets go of its watch. Only on its lane, or when that has stopped.</summary>
    public void Release()
    {
        _watch?.Dispose();
        _watch = null;
    }

    private void Tell(ReadOnlySpan<byte> events, long nowMs)
    {
        lane.MakeRoom(peer, events.Length);
        if (_watch is null)
        {
            // What it said before did not leave: it is read again, and this as well.
            return;
        }

        _now.Clear();
        _watch.CopyPositions(_now);
        bool all = _toldSequence == 0;
        int changed = 0;
        for (int i = 0; i < _now.Count; i++)
        {
            ShardPosition position = _now[i];
            int at = Array.FindIndex(_told, p => p.Shard == position.Shard);
            if (all || _told[at].Next != position.Next)
            {
                _told[at] = position;
                _now[changed++] = position;
            }
        }

        _now.RemoveRange(changed, _now.Count - changed);
        _toldSequence++;
        _toldBytes += (ulong)events.Length;
        Volatile.Write(ref _saidMs, nowMs);
        lane.Tell(this, _toldSequence, _now, events);
    }
}
