using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Context;

namespace Henge.Node.Peers;

/// <summary>Walks the records of a frame. Never reads outside of it; bad bytes end the walk with <see cref="Damaged"/>.</summary>
internal ref struct PeerRecordReader(ReadOnlySpan<byte> records)
{
    private ReadOnlySpan<byte> _rest = records;

    /// <summary>True when the bytes did not make sense.</summary>
    public bool Damaged { get; private set; }

    /// <summary>What the record is.</summary>
    public PeerRecordKind Kind { get; private set; }

    /// <summary>The shard that it is for.</summary>
    public ShardId Shard { get; private set; }

    /// <summary>Its body.</summary>
    public ReadOnlySpan<byte> Body { get; private set; }

    /// <summary>Moves to the next record.</summary>
    public bool MoveNext()
    {
        if (_rest.IsEmpty || Damaged)
        {
            return false;
        }

        if (_rest.Length < PeerFrame.RecordHeaderBytes)
        {
            Damaged = true;
            return false;
        }

        uint length = BinaryPrimitives.ReadUInt32LittleEndian(_rest[5..]);
        if (length > (uint)(_rest.Length - PeerFrame.RecordHeaderBytes))
        {
            Damaged = true;
            return false;
        }

        Kind = (PeerRecordKind)_rest[0];
        Shard = new ShardId(BinaryPrimitives.ReadUInt32LittleEndian(_rest[1..]));
        Body = _rest.Slice(PeerFrame.RecordHeaderBytes, (int)length);
        _rest = _rest[(PeerFrame.RecordHeaderBytes + (int)length)..];
        return true;
    }
}
