using System.Buffers;
using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Context;

namespace Henge.Node.Peers;

/// <summary>
/// Gathers records for one peer into a frame. Reused: the buffer stays, so that a frame of the usual size allocates nothing. Not
/// thread-safe.
/// </summary>
internal sealed class PeerFrameBuilder : IBufferWriter<byte>
{
    private const int KeepBytes = 4 * 1024 * 1024;
    private readonly PeerSender _sender;
    private readonly NodeId _to;
    private byte[] _buffer = new byte[4096];
    private int _length = PeerFrame.HeaderBytes;
    private int _recordStart;

    /// <summary>Creates a builder for frames from one node to another.</summary>
    public PeerFrameBuilder(PeerSender sender, NodeId to)
    {
        _sender = sender;
        _to = to;
    }

    /// <summary>True when no record was added.</summary>
    public bool IsEmpty => _length == PeerFrame.HeaderBytes;

    /// <summary>Bytes of the frame so far.</summary>
    public int Bytes => _length;

    /// <summary>Begins a record; its body is what is written into the builder until <see cref="EndRecord"/>.</summary>
    public void BeginRecord(PeerRecordKind kind, ShardId shard)
    {
        Reserve(PeerFrame.RecordHeaderBytes);
        _recordStart = _length;
        _buffer[_length] = (byte)kind;
        BinaryPrimitives.WriteUInt32LittleEndian(_buffer.AsSpan(_length + 1), shard.Value);
        _length += PeerFrame.RecordHeaderBytes;
    }

    /// <summary>Ends the record.</summary>
    public void EndRecord() => BinaryPrimitives.WriteUInt32LittleEndian(
        _buffer.AsSpan(_recordStart + 5), (uint)(_length - _recordStart - PeerFrame.RecordHeaderBytes));

    /// <summary>Completes the frame and gives it, valid until the builder is used again.</summary>
    /// <param name="receiverIncarnation">The data directory that the receiver is taken to run with; 0 when it is not known.</param>
    public ReadOnlySpan<byte> Complete(ulong receiverIncarnation)
    {
        Span<byte> frame = _buffer.AsSpan(0, _length);
        BinaryPrimitives.WriteUInt32LittleEndian(frame, PeerFrame.Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(frame[4..], (uint)(_length - PeerFrame.PrefixBytes));
        BinaryPrimitives.WriteUInt64LittleEndian(frame[12..], _sender.Cluster);
        BinaryPrimitives.WriteUInt64LittleEndian(frame[20..], _sender.Node.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(frame[28..], _to.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(frame[36..], _sender.Incarnation);
        BinaryPrimitives.WriteUInt64LittleEndian(frame[44..], receiverIncarnation);
        BinaryPrimitives.WriteUInt32LittleEndian(frame[8..], Crc32C.Compute(frame[PeerFrame.PrefixBytes..]));
        return frame;
    }

    /// <summary>Empties it for the next frame; gives memory back after an unusually large one.</summary>
    public void Clear()
    {
        _length = PeerFrame.HeaderBytes;
        if (_buffer.Length > KeepBytes)
        {
            _buffer = new byte[4096];
        }
    }

    /// <inheritdoc/>
    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)count, (uint)(_buffer.Length - _length));
        _length += count;
    }

    /// <inheritdoc/>
    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(Math.Max(sizeHint, 64));
        return _buffer.AsMemory(_length);
    }

    /// <inheritdoc/>
    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Reserve(Math.Max(sizeHint, 64));
        return _buffer.AsSpan(_length);
    }

    private void Reserve(int bytes)
    {
        int needed = checked(_length + bytes);
        if (needed > _buffer.Length)
        {
            Array.Resize(ref _buffer, Math.Max(needed, _buffer.Length * 2));
        }
    }
}
