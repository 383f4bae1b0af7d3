using System.Buffers;
using System.Buffers.Binary;
using Henge.Core;

namespace Henge.Storage;

/// <summary>
/// Walks an encoded <see cref="WriteBatch"/>. Never reads outside of it; bad bytes end the walk with <see cref="Damaged"/>.
/// </summary>
public ref struct WriteBatchReader(ReadOnlySpan<byte> encoded)
{
    private SpanReader _reader = new(encoded);

    /// <summary>True when the bytes did not make sense.</summary>
    public bool Damaged { get; private set; }

    /// <summary>Bytes behind the item that it stands on.</summary>
    public readonly int RemainingBytes => _reader.Rest.Length;

    /// <summary>True when the item is a position: then only <see cref="Keyspace"/> (the stream) and <see cref="Position"/> count.</summary>
    public bool IsPosition { get; private set; }

    /// <summary>The position.</summary>
    public ulong Position { get; private set; }

    /// <summary>What the entry is.</summary>
    public EntryKind Kind { get; private set; }

    /// <summary>The keyspace.</summary>
    public uint Keyspace { get; private set; }

    /// <summary>The version.</summary>
    public Core.Version Version { get; private set; }

    /// <summary>The key.</summary>
    public ReadOnlySpan<byte> Key { get; private set; }

    /// <summary>When it expires; 0 if never.</summary>
    public readonly long ExpiresAtMs => EntryHeader.ExpiresAtMs(Header);

    /// <summary>What the value is.</summary>
    public readonly DataType Type => EntryHeader.Type(Header);

    /// <summary>Both of them; 0 for entries without.</summary>
    internal long Header { get; private set; }

    /// <summary>The value.</summary>
    public ReadOnlySpan<byte> Value { get; private set; }

    /// <summary>Moves to the next item.</summary>
    public bool MoveNext()
    {
        if (_reader.IsEmpty || Damaged)
        {
            return false;
        }

        Damaged = !TryRead();
        return !Damaged;
    }

    private bool TryRead()
    {
        if (_reader.Rest.Length < 13)
        {
            return false;
        }

        ReadOnlySpan<byte> head = _reader.ReadRaw(13);
        byte tag = head[0];
        Keyspace = BinaryPrimitives.ReadUInt32LittleEndian(head[1..]);
        ulong number = BinaryPrimitives.ReadUInt64LittleEndian(head[5..]);
        IsPosition = tag == WriteBatch.PositionTag;
        if (IsPosition)
        {
            Position = number;
            return true;
        }

        if (tag > (byte)EntryKind.PutTyped || number > Core.Version.MaxValue || !_reader.TryReadBytes(out ReadOnlySpan<byte> key))
        {
            return false;
        }

        Kind = (EntryKind)tag;
        Version = new Core.Version(number);
        Key = key;
        Header = 0;
        if (EntryHeader.IsIn(Kind))
        {
            if (!_reader.TryReadUInt64(out ulong header))
            {
                return false;
            }

            Header = (long)header;
        }

        bool complete = _reader.TryReadBytes(out ReadOnlySpan<byte> value);
        Value = value;
        return complete;
    }
}
