using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Node.StateMachine;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>
/// Streams a shard's snapshots to followers that are too far behind, one at a time: a few chunks are under way, and the next leaves when
/// one has been acknowledged, so that a slow follower costs little memory and the others do not notice. Belongs to the shard's worker.
/// </summary>
/// <remarks>
/// Chunk: <c>snapshot u64 | sequence u32 | last u8 | bytes</c>, sequence 0 being the Raft header. Acknowledgement: <c>snapshot u64 | next
/// sequence u32 | ok u8</c>.
/// </remarks>
internal sealed class SnapshotSender(ShardReplica replica, RaftGroup group, ShardStateMachine machine)
{
    internal const int ChunkHeaderBytes = 13;
    internal const int Window = 4;
    private const int RepeatTicks = 50;
    private const int AbandonAfterTicks = 300;
    private readonly Queue<(NodeId To, LogIndex? Rebuilds)> _requested = new();
    private readonly Queue<(uint Sequence, byte[] Bytes, bool Last)> _underWay = new();
    private ShardSnapshotReader? _reader;
    private InstallSnapshot? _header;
    private NodeId _to;
    private ulong _id;
    private uint _next;
    private ulong _count;
    private bool _allRead;
    private int _idleTicks;
    private int _unansweredTicks;

    /// <inheritdoc/>
    public override string ToString() =>
        _header is null
            ? $"idle, {_requested.Count} wait"
            : $"{_id:x} to {_to}: {_next} chunks sent, {_underWay.Count} not acknowledged, silent for {_unansweredTicks} ticks";

    /// <summary>How much of a snapshot that is on its way to a follower has been acknowledged, in bytes; 0 when none is.</summary>
    public long AcknowledgedBytes(NodeId to) =>
        _header is null || to != _to ? 0 : (long)(_next - (uint)_underWay.Count) * replica.Node.Options.SnapshotChunkBytes;

    /// <summary>A follower needs a snapshot.</summary>
    public void Begin(NodeId to)
    {
        _requested.Enqueue((to, null));
        BeginNext();
    }

    /// <summary>
    /// A peer whose state is damaged asks for one that covers at least what it has applied. Not taken when one is on its way or waits to
    /// be; it asks again.
    /// </summary>
    public void OnRequest(NodeId to, LogIndex applied)
    {
        if ((_header is null || _to != to) && _requested.All(wanted => wanted.To != to))
        {
            _requested.Enqueue((to, applied));
            BeginNext();
        }
    }

    /// <summary>An acknowledgement has come.</summary>
    public void OnAck(NodeId from, ReadOnlySpan<byte> body)
    {
        if (_header is null || from != _to || body.Length < ChunkHeaderBytes || BinaryPrimitives.ReadUInt64LittleEndian(body) != _id)
        {
            return;
        }

        if (body[12] == 0)
        {
            End(sent: false);
            return;
        }

        uint next = BinaryPrimitives.ReadUInt32LittleEndian(body[8..]);
        while (_underWay.TryPeek(out (uint Sequence, byte[] Bytes, bool Last) oldest) && oldest.Sequence < next)
        {
            _underWay.Dequeue();
            _unansweredTicks = 0;
            _idleTicks = 0;
        }

        if (_allRead && _underWay.Count == 0)
        {
            End(sent: true);
        }
        else
        {
            Pump();
        }
    }

    /// <summary>Repeats what seems lost; gives up when nothing comes back for long.</summary>
    public void Tick()
    {
        if (_header is null)
        {
            BeginNext();
            return;
        }

        if (group.Role != RaftRole.Leader || ++_unansweredTicks > AbandonAfterTicks)
        {
            End(sent: false);
        }
        else if (++_idleTicks >= RepeatTicks)
        {
            _idleTicks = 0;
            foreach ((uint sequence, byte[] bytes, bool last) in _underWay)
            {
                Send(sequence, bytes, last);
            }
        }
    }

    /// <summary>Gives up what is under way.</summary>
    public void Stop()
    {
        _reader?.Dispose();
        _reader = null;
        _header = null;
        _underWay.Clear();
        _requested.Clear();
    }

    private void BeginNext()
    {
        while (_header is null && _requested.Count > 0)
        {
            (_to, LogIndex? rebuilds) = _requested.Dequeue();
            LogIndex applied = machine.AppliedIndex;
            if (rebuilds is { } least && (machine.Damage is not null || applied < least))
            {
                // Nothing to build another one from; or not yet.
                continue;
            }

            if (machine.State != MachineState.Ready || group.TermAt(applied) is not { } term)
            {
                group.SnapshotFailed(_to);
                continue;
            }

            if ((rebuilds is null ? group.BeginSnapshot(_to, applied) : group.DescribeSnapshot(_to, applied)) is not { } header)
            {
                continue;
            }

            _header = header;
            _reader = machine.CreateSnapshot(term, header.Membership.Encode());
            // The term makes it unique over restarts: who leads again after one has a higher term.
            _id = (group.Term.Value << 24) | (++_count & 0xFF_FFFF);
            _next = 0;
            _allRead = false;
            _unansweredTicks = 0;
            _idleTicks = 0;
            replica.Node.Events?.SnapshotSending(replica.Shard, replica.Node.NameOf(_to) ?? _to.ToString(), applied);
            byte[] encoded = new byte[RaftMessageCodec.MaxEncodedSize(header)];

            // Alone, until it is acknowledged: data that overtook it would look like the middle of something whose beginning was lost, and
            // be refused.
            Add(encoded.AsSpan(0, RaftMessageCodec.Encode(header, encoded)).ToArray(), last: false);
        }
    }

    private void Pump()
    {
        while (!_allRead && _underWay.Count < Window)
        {
            byte[] chunk = new byte[replica.Node.Options.SnapshotChunkBytes];
            bool more;
            int written;
            try
            {
                more = _reader!.TryRead(chunk, out written, out _);
            }
            catch (HengeException e) when (e.Code == ErrorCode.Corruption)
            {
                // It has nothing whole to send. Another one may, once it leads.
                machine.ReportDamage(e);
                End(sent: false);
                return;
            }

            if (more)
            {
                Add(written == chunk.Length ? chunk : chunk.AsSpan(0, written).ToArray(), last: false);
            }
            else
            {
                _allRead = true;
                Add([], last: true);
            }
        }
    }

    private void Add(byte[] bytes, bool last)
    {
        _underWay.Enqueue((_next, bytes, last));
        Send(_next, bytes, last);
        _next++;
    }

    private void Send(uint sequence, byte[] bytes, bool last)
    {
        if (replica.Worker.Links.Begin(_to, PeerRecordKind.SnapshotChunk, replica.Shard) is not { } frame)
        {
            return;
        }

        Span<byte> span = frame.GetSpan(ChunkHeaderBytes + bytes.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(span, _id);
        BinaryPrimitives.WriteUInt32LittleEndian(span[8..], sequence);
        span[12] = last ? (byte)1 : (byte)0;
        bytes.CopyTo(span[ChunkHeaderBytes..]);
        frame.Advance(ChunkHeaderBytes + bytes.Length);
        frame.EndRecord();
    }

    private void End(bool sent)
    {
        _reader?.Dispose();
        _reader = null;
        _header = null;
        _underWay.Clear();
        if (sent)
        {
            group.SnapshotSent(_to);
        }
        else
        {
            replica.Node.Events?.SnapshotNotDelivered(replica.Shard, replica.Node.NameOf(_to) ?? _to.ToString());
            group.SnapshotFailed(_to);
        }

        replica.Worker.MarkDirty(replica);
    }
}
