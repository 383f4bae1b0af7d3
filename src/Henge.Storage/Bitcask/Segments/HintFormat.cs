using System.Buffers.Binary;
using Henge.Core;
using Henge.Storage.Logs;

namespace Henge.Storage.Bitcask.Segments;

/// <summary>An entry as a hint file has it: all but the value, and where it lies.</summary>
internal ref struct HintEntry
{
    public EntryKind Kind;
    public uint Keyspace;
    public Core.Version Version;
    public ReadOnlySpan<byte> Key;
    public long Header;
    public uint Offset;
    public int Length;
}

/// <summary>
/// The bytes of a hint file; docs/formats.md is the specification. It says what a sealed segment holds, so that a start need not read the
/// values. Nothing is lost with it: what it says can be read from the segment.
/// <code>
/// file    magic u64 | version u32 | segment id u32 | salt u64 | segment end u32 | crc32c u32 | block | block | … | last block
/// block   length u32 | crc32c u32 | entries                 last block: length 0 | crc32c u32 | number of entries u64
/// entry   kind u8 | keyspace u32 | version u64 | offset u32 | length u32 | [header i64] | key length varint | key
/// </code>
/// </summary>
internal static class HintFormat
{
    /// <summary>"HNGBHINT", little-endian.</summary>
    public const ulong Magic = 0x544E_4948_4247_4E48;
    public const uint Version = 1;
    public const int HeaderBytes = 32;
    public const int BlockHeaderBytes = 8;
    public const int LastBlockBytes = BlockHeaderBytes + sizeof(ulong);
    public const int MaxBlockBytes = 1 << 20;
    private const int FixedBytes = 21;

    public static int SizeOf(EntryKind kind, int keyLength) =>
        FixedBytes + (EntryHeader.IsIn(kind) ? EntryHeader.Bytes : 0) + Varint.Size((ulong)keyLength) + keyLength;

    public static void WriteHeader(Span<byte> page, in LogSegmentHeader segment, uint end)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(page, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(page[8..], Version);
        BinaryPrimitives.WriteUInt32LittleEndian(page[12..], segment.Id);
        BinaryPrimitives.WriteUInt64LittleEndian(page[16..], segment.Salt);
        BinaryPrimitives.WriteUInt32LittleEndian(page[24..], end);
        BinaryPrimitives.WriteUInt32LittleEndian(page[28..], Crc32C.Compute(page[..28]));
    }

    /// <summary>True when the header is that of the hint of this very segment.</summary>
    public static bool IsHeaderOf(ReadOnlySpan<byte> page, uint id, uint end, out ulong salt)
    {
        salt = page.Length < HeaderBytes ? 0 : BinaryPrimitives.ReadUInt64LittleEndian(page[16..]);
        return page.Length >= HeaderBytes
            && BinaryPrimitives.ReadUInt64LittleEndian(page) == Magic
            && BinaryPrimitives.ReadUInt32LittleEndian(page[8..]) == Version
            && BinaryPrimitives.ReadUInt32LittleEndian(page[12..]) == id
            && BinaryPrimitives.ReadUInt32LittleEndian(page[24..]) == end
            && BinaryPrimitives.ReadUInt32LittleEndian(page[28..]) == Crc32C.Compute(page[..28]);
    }

    /// <summary>The checksum of a block: the salt is in it, so that no block of another segment passes.</summary>
    public static uint Checksum(ulong salt, uint length, ReadOnlySpan<byte> content)
    {
        Span<byte> head = stackalloc byte[12];
        BinaryPrimitives.WriteUInt64LittleEndian(head, salt);
        BinaryPrimitives.WriteUInt32LittleEndian(head[8..], length);
        return Crc32C.Finish(Crc32C.Append(Crc32C.Append(Crc32C.Start, head), content));
    }

    public static int Write(Span<byte> destination, in StoredEntry entry, uint offset)
    {
        destination[0] = (byte)entry.Kind;
        BinaryPrimitives.WriteUInt32LittleEndian(destination[1..], entry.Keyspace);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[5..], entry.Version.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[13..], offset);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[17..], (uint)entry.Length);
        int at = FixedBytes;
        if (EntryHeader.IsIn(entry.Kind))
        {
            BinaryPrimitives.WriteInt64LittleEndian(destination[at..], entry.Header);
            at += EntryHeader.Bytes;
        }

        at += Varint.Write(destination[at..], (ulong)entry.Key.Length);
        entry.Key.CopyTo(destination[at..]);
        return at + entry.Key.Length;
    }

    /// <summary>Reads the entry that some bytes begin with; false when they make no sense.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, uint segmentEnd, out HintEntry entry, out int size)
    {
        entry = default;
        size = 0;
        if (source.Length < FixedBytes || source[0] > (byte)EntryKind.PutTyped)
        {
            return false;
        }

        entry.Kind = (EntryKind)source[0];
        entry.Keyspace = BinaryPrimitives.ReadUInt32LittleEndian(source[1..]);
        ulong version = BinaryPrimitives.ReadUInt64LittleEndian(source[5..]);
        entry.Version = new Core.Version(version);
        entry.Offset = BinaryPrimitives.ReadUInt32LittleEndian(source[13..]);
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(source[17..]);
        entry.Length = (int)length;
        var rest = new SpanReader(source[FixedBytes..]);
        if (EntryHeader.IsIn(entry.Kind))
        {
            if (!rest.TryReadUInt64(out ulong header))
            {
                return false;
            }

            entry.Header = (long)header;
        }

        bool good = rest.TryReadBytes(out entry.Key)
            && version <= Core.Version.MaxValue
            && entry.Offset >= LogFormat.SegmentHeaderBytes
            && length <= int.MaxValue
            && (ulong)entry.Offset + length <= segmentEnd;
        size = source.Length - rest.Rest.Length;
        return good;
    }
}
