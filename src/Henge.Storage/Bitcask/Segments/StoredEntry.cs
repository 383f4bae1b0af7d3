using System.Buffers.Binary;
using Henge.Core;

namespace Henge.Storage.Bitcask.Segments;

/// <summary>
/// An entry in a segment's record. Each has a checksum of its own, so that it can be read without the rest of its batch
/// (docs/formats.md):
/// <c>kind u8 | crc32c u32 | keyspace u32 | version u64 | key length varint | key | [header i64] | value length varint | value</c>,
/// and for a position <c>0xF0 | stream u32 | position u64</c>. The checksum is of the kind and of all that follows it.
/// </summary>
internal ref struct StoredEntry
{
    public const int PositionBytes = 13;

    /// <summary>Bytes that an entry has more than in an encoded <see cref="WriteBatch"/>.</summary>
    public const int ChecksumBytes = sizeof(uint);

    private const int FixedBytes = 1 + ChecksumBytes + sizeof(uint) + sizeof(ulong);

    /// <summary>True for a position: then only <see cref="Keyspace"/> (the stream) and <see cref="Position"/> count.</summary>
    public bool IsPosition;
    public ulong Position;
    public EntryKind Kind;
    public uint Keyspace;
    public Core.Version Version;
    public ReadOnlySpan<byte> Key;
    public long Header;
    public ReadOnlySpan<byte> Value;

    /// <summary>Bytes of the whole.</summary>
    public int Length;

    /// <summary>Copies an encoded batch into a record's payload, with a checksum for each entry. The batch is well formed.</summary>
    public static void Encode(ReadOnlySpan<byte> batch, Span<byte> payload)
    {
        var reader = new WriteBatchReader(batch);
        int from = 0;
        int to = 0;
        while (reader.MoveNext())
        {
            int end = batch.Length - reader.RemainingBytes;
            ReadOnlySpan<byte> item = batch[from..end];
            from = end;
            if (reader.IsPosition)
            {
                item.CopyTo(payload[to..]);
                to += item.Length;
                continue;
            }

            payload[to] = item[0];
            item[1..].CopyTo(payload[(to + 1 + ChecksumBytes)..]);
            Span<byte> stored = payload.Slice(to, item.Length + ChecksumBytes);
            BinaryPrimitives.WriteUInt32LittleEndian(stored[1..], Checksum(stored));
            to += stored.Length;
        }
    }

    /// <summary>True when the checksum of a whole entry is right.</summary>
    public static bool IsWhole(ReadOnlySpan<byte> entry) =>
        entry.Length >= FixedBytes && BinaryPrimitives.ReadUInt32LittleEndian(entry[1..]) == Checksum(entry);

    /// <summary>Reads the item that some bytes begin with, without a look at its checksum; false when they make no sense.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out StoredEntry entry)
    {
        entry = default;
        if (bytes.Length < PositionBytes)
        {
            return false;
        }

        if (bytes[0] == WriteBatch.PositionTag)
        {
            entry.IsPosition = true;
            entry.Keyspace = BinaryPrimitives.ReadUInt32LittleEndian(bytes[1..]);
            entry.Position = BinaryPrimitives.ReadUInt64LittleEndian(bytes[5..]);
            entry.Length = PositionBytes;
            return true;
        }

        if (bytes.Length < FixedBytes || bytes[0] > (byte)EntryKind.PutTyped)
        {
            return false;
        }

        entry.Kind = (EntryKind)bytes[0];
        entry.Keyspace = BinaryPrimitives.ReadUInt32LittleEndian(bytes[5..]);
        ulong version = BinaryPrimitives.ReadUInt64LittleEndian(bytes[9..]);
        if (version > Core.Version.MaxValue)
        {
            return false;
        }

        entry.Version = new Core.Version(version);
        var rest = new SpanReader(bytes[FixedBytes..]);
        if (!rest.TryReadBytes(out entry.Key))
        {
            return false;
        }

        if (EntryHeader.IsIn(entry.Kind))
        {
            if (!rest.TryReadUInt64(out ulong header))
            {
                return false;
            }

            entry.Header = (long)header;
        }

        if (!rest.TryReadBytes(out entry.Value))
        {
            return false;
        }

        entry.Length = bytes.Length - rest.Rest.Length;
        return true;
    }

    private static uint Checksum(ReadOnlySpan<byte> entry) =>
        Crc32C.Finish(Crc32C.Append(Crc32C.Append(Crc32C.Start, entry[..1]), entry[(1 + ChecksumBytes)..]));
}
