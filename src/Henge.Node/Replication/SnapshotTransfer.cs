using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Node.StateMachine;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>
/// One snapshot on its way to one follower. A few chunks are under way, and the next leaves when one has been acknowledged, so that a slow
/// follower costs little memory. When the connection breaks, the chunks that are under way are sent again until one arrives, and the rest
/// follows: nothing that was acknowledged is sent twice. It is given up when for long none has been acknowledged, however long it takes as
/// a whole. Belongs to the shard's worker.
/// </summary>
/// <remarks>
/// Chunk: <c>snapshot u64 | sequence u32 | last u8 | bytes</c>, sequence 0 being the Raft header. Acknowledgement: <c>snapshot u64 | next
/// sequence u32 | ok u8</c>.
/// </remarks>
internal sealed class SnapshotTransfer : IDisposable
{
    private const long RepeatMs = 500;
    private const long SlowestRepeatMs = 4_000;
    private readonly Queue<(uint Sequence, byte[] Bytes, bool Last)> _underWay = new();
    private readonly ShardReplica _replica;
    private readonly ShardSnapshotReader _reader;
    private readonly bool _isThrottled;
    private readonly long _estimatedBytes;
    private uint _next;
    private bool _allRead;
    private long _repeatMs = RepeatMs;
    private long _sentMs;
    private long _progressMs;

    /// <summary>Begins it: sends the header.</summary>
    /// <param name="replica">The shard.</param>
    /// <param name="reader">What is sent; disposed of with the transfer.</param>
    /// <param name="header">What it is for the group.</param>
    /// <param name="id">Tells it from all others.</param>
    /// <param name="isThrottled">It is a move's, and keeps to the rate for these.</param>
    /// <param name="estimatedBytes">About how much it is; 0: not known.</param>
    public SnapshotTransfer(
        ShardReplica replica,
        ShardSnapshotReader reader,
        InstallSnapshot header,
        ulong id,
        bool isThrottled,
        long estimatedBytes)
    {
        _estimatedBytes = estimatedBytes;
        _replica = replica;
        _reader = reader;
        _isThrottled = isThrottled;
        To = header.To;
        Id = id;
        _progressMs = replica.Worker.NowMs;
        byte[] encoded = new byte[RaftMessageCodec.MaxEncodedSize(header)];

        // Alone, until it is acknowledged: data that overtook it would look like the middle of something whose beginning was lost, and be
        // refused.
        Add(encoded.AsSpan(0, RaftMessageCodec.Encode(header, encoded)).ToArray(), last: false);
    }

    /// <summary>The follower.</summary>
    public NodeId To { get; }

    /// <summary>Tells it from all others.</summary>
    public ulong Id { get; }

    /// <summary>Bytes that have been acknowledged.</summary>
    public long AcknowledgedBytes { get; private set; }

    /// <summary>About how many bytes have not been; exactly, once all has been read. 0 when that is not known.</summary>
    public long BytesLeft =>
        _allRead ? _underWay.Sum(static chunk => (long)chunk.Bytes.Length) : Math.Max(0, _estimatedBytes - AcknowledgedBytes);

    /// <summary>All of it has been acknowledged.</summary>
    public bool IsDone => _allRead && _underWay.Count == 0;

    /// <inheritdoc/>
    public override string ToString() =>
        $"{Id:x} to {To}: {_next} chunks sent, {_underWay.Count} not acknowledged, silent since {_progressMs} ms";

    /// <summary>For how long nothing has been acknowledged of what was sent.</summary>
    public long SilentForMs(long nowMs) => _underWay.Count == 0 ? 0 : nowMs - _progressMs;

    /// <summary>An acknowledgement has come: everything before a chunk is there.</summary>
    public void OnAck(uint next)
    {
        bool wasSilent = _repeatMs > RepeatMs;
        bool any = false;
        while (_underWay.TryPeek(out (uint Sequence, byte[] Bytes, bool Last) oldest) && oldest.Sequence < next)
        {
            _underWay.Dequeue();
            AcknowledgedBytes += oldest.Bytes.Length;
            any = true;
        }

        if (!any)
        {
            return;
        }

        _progressMs = _replica.Worker.NowMs;
        _repeatMs = RepeatMs;
        if (wasSilent)
        {
            // The first was lost, and is there now: what was sent together with it may be lost, too.
            foreach ((uint sequence, byte[] bytes, bool last) in _underWay)
            {
                Send(sequence, bytes, last);
            }
        }
    }

    /// <summary>Sends what may be sent. Throws <see cref="HengeException"/> (Corruption) when what is read is damaged.</summary>
    public void Pump()
    {
        long now = _replica.Worker.NowMs;
        MoveRate rate = _replica.Node.MoveRate;
        if (_next == 1 && _underWay.Count > 0)
        {
            return;
        }

        while (!_allRead && _underWay.Count < SnapshotSender.Window && (!_isThrottled || rate.MaySend(now)))
        {
            if (_underWay.Count == 0)
            {
                // Until now it waited for its turn, not for the follower.
                _progressMs = now;
            }

            byte[] chunk = new byte[_replica.Node.Options.SnapshotChunkBytes];
            if (_reader.TryRead(chunk, out int written, out _))
            {
                Add(written == chunk.Length ? chunk : chunk.AsSpan(0, written).ToArray(), last: false);
                _replica.Node.Counters.OnSnapshotSent(written);
                if (_isThrottled)
                {
                    rate.OnSent(written, now);
                }
            }
            else
            {
                _allRead = true;
                Add([], last: true);
            }
        }
    }

    /// <summary>
    /// Sends again what seems lost: the oldest chunk at first, since the others may be there; and less often as long as nothing comes back.
    /// </summary>
    public void Repeat()
    {
        long now = _replica.Worker.NowMs;
        if (_underWay.Count == 0 || now - Math.Max(_sentMs, _progressMs) < _repeatMs)
        {
            return;
        }

        _repeatMs = Math.Min(2 * _repeatMs, SlowestRepeatMs);
        (uint sequence, byte[] bytes, bool last) = _underWay.Peek();
        Send(sequence, bytes, last);
    }

    /// <inheritdoc/>
    public void Dispose() => _reader.Dispose();

    private void Add(byte[] bytes, bool last)
    {
        _underWay.Enqueue((_next, bytes, last));
        Send(_next, bytes, last);
        _next++;
    }

    private void Send(uint sequence, byte[] bytes, bool last)
    {
        _sentMs = _replica.Worker.NowMs;
        if (_replica.Worker.Links.Begin(To, PeerRecordKind.SnapshotChunk, _replica.Shard) is not { } frame)
        {
            return;
        }

        Span<byte> span = frame.GetSpan(SnapshotSender.ChunkHeaderBytes + bytes.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(span, Id);
        BinaryPrimitives.WriteUInt32LittleEndian(span[8..], sequence);
        span[12] = last ? (byte)1 : (byte)0;
        bytes.CopyTo(span[SnapshotSender.ChunkHeaderBytes..]);
        frame.Advance(SnapshotSender.ChunkHeaderBytes + bytes.Length);
        frame.EndRecord();
    }
}
