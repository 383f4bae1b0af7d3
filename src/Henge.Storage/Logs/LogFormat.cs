using System.Buffers.Binary;
using System.Globalization;
using Henge.Core;

namespace Henge.Storage.Logs;

/// <summary>
/// The bytes of a log file; docs/formats.md is the specification. All numbers are little-endian.
/// <code>
/// segment  header page (4096 bytes) | record | record | … | zeros, or bytes of the file's earlier life
/// header   magic "HENGELOG" | version u32 | segment id u32 | salt u64 | previous id u32 | previous end u32 | crc32c u32 | zeros
/// record   length u32 | crc32c u32 | segment id u32 | kind u8 | payload
/// mark     a record of kind 0xF0 with the payload: incarnation u32 | durable end u32
/// </code>
/// </summary>
internal static class LogFormat
{
    internal const uint Version = 1;

    // The header has a page of its own, so that no append ever rewrites the block that it is in.
    internal const int SegmentHeaderBytes = 4096;
    internal const int MaxSegmentBytes = 1 << 30;
    internal const int RecordHeaderBytes = 13;
    internal const int MarkPayloadBytes = 8;
    internal const int MarkBytes = RecordHeaderBytes + MarkPayloadBytes;

    /// <summary>Kinds from here on belong to the log itself.</summary>
    internal const byte FirstReservedKind = 0xF0;
    internal const byte MarkKind = 0xF0;

    internal const string SegmentSuffix = ".log";
    internal const string SpareSuffix = ".free";

    private const int HeaderCrcOffset = 32;
    private const int HeaderVersionOffset = 8;

    internal static ReadOnlySpan<byte> Magic => "HENGELOG"u8;

    internal static string SegmentName(uint id) => id.ToString("D10", CultureInfo.InvariantCulture) + SegmentSuffix;

    internal static string SpareName(uint id) => id.ToString("D10", CultureInfo.InvariantCulture) + SpareSuffix;

    internal static bool TryParseName(string name, string suffix, out uint id)
    {
        id = 0;
        return name.Length == 10 + suffix.Length
            && name.EndsWith(suffix, StringComparison.Ordinal)
            && uint.TryParse(name.AsSpan(0, 10), NumberStyles.None, CultureInfo.InvariantCulture, out id)
            && id != 0;
    }

    /// <summary>
    /// What the checksums of an incarnation start from. Different incarnations of a segment have different ones, whatever the salt, because
    /// a CRC maps different words after the same prefix to different states.
    /// </summary>
    internal static uint Seed(ulong salt, uint incarnation)
    {
        Span<byte> bytes = stackalloc byte[12];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, salt);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[8..], incarnation);
        return Crc32C.Append(Crc32C.Start, bytes);
    }

    /// <summary>The checksum of a record: of everything but the checksum itself, so that a damaged length shows.</summary>
    internal static uint Checksum(uint seed, ReadOnlySpan<byte> record) =>
        Crc32C.Finish(Crc32C.Append(Crc32C.Append(seed, record[..4]), record[8..]));

    /// <summary>Completes a record whose payload is in place.</summary>
    internal static void WriteRecordHeader(Span<byte> record, uint seed, uint segmentId, byte kind)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(record, (uint)(record.Length - RecordHeaderBytes));
        BinaryPrimitives.WriteUInt32LittleEndian(record[8..], segmentId);
        record[12] = kind;
        BinaryPrimitives.WriteUInt32LittleEndian(record[4..], Checksum(seed, record));
    }

    internal static void WriteMark(Span<byte> record, ulong salt, uint segmentId, LogMark mark)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(record[RecordHeaderBytes..], mark.Incarnation);
        BinaryPrimitives.WriteUInt32LittleEndian(record[(RecordHeaderBytes + 4)..], mark.DurableEnd);
        WriteRecordHeader(record[..MarkBytes], Seed(salt, mark.Incarnation), segmentId, MarkKind);
    }

    /// <summary>Reads a mark. A mark's checksum starts from its own incarnation, so that it can be checked wherever it is found.</summary>
    internal static bool TryReadMark(ReadOnlySpan<byte> record, ulong salt, uint segmentId, out LogMark mark)
    {
        mark = default;
        if (record.Length < MarkBytes
            || BinaryPrimitives.ReadUInt32LittleEndian(record) != MarkPayloadBytes
            || BinaryPrimitives.ReadUInt32LittleEndian(record[8..]) != segmentId
            || record[12] != MarkKind)
        {
            return false;
        }

        mark = new LogMark(
            BinaryPrimitives.ReadUInt32LittleEndian(record[RecordHeaderBytes..]),
            BinaryPrimitives.ReadUInt32LittleEndian(record[(RecordHeaderBytes + 4)..]));
        return BinaryPrimitives.ReadUInt32LittleEndian(record[4..]) == Checksum(Seed(salt, mark.Incarnation), record[..MarkBytes]);
    }

    internal static void WriteHeader(Span<byte> page, LogSegmentHeader header)
    {
        page[..SegmentHeaderBytes].Clear();
        Magic.CopyTo(page);
        BinaryPrimitives.WriteUInt32LittleEndian(page[HeaderVersionOffset..], Version);
        BinaryPrimitives.WriteUInt32LittleEndian(page[12..], header.Id);
        BinaryPrimitives.WriteUInt64LittleEndian(page[16..], header.Salt);
        BinaryPrimitives.WriteUInt32LittleEndian(page[24..], header.PreviousId);
        BinaryPrimitives.WriteUInt32LittleEndian(page[28..], header.PreviousEnd);
        BinaryPrimitives.WriteUInt32LittleEndian(page[HeaderCrcOffset..], Crc32C.Compute(page[..HeaderCrcOffset]));
    }

    /// <summary>Reads a header, or says what is wrong with it.</summary>
    internal static LogSegmentHeader ReadHeader(ReadOnlySpan<byte> page, string path)
    {
        if (page.Length < HeaderCrcOffset + 4)
        {
            throw LogErrors.Damage(path, page.Length, "the file ends within its header");
        }

        if (!page.StartsWith(Magic))
        {
            throw LogErrors.Damage(path, 0, "it does not begin as a log segment of Henge does");
        }

        uint version = BinaryPrimitives.ReadUInt32LittleEndian(page[HeaderVersionOffset..]);
        uint crc = BinaryPrimitives.ReadUInt32LittleEndian(page[HeaderCrcOffset..]);
        Span<byte> ours = stackalloc byte[HeaderCrcOffset];
        page[..HeaderCrcOffset].CopyTo(ours);
        BinaryPrimitives.WriteUInt32LittleEndian(ours[HeaderVersionOffset..], Version);

        // A version that is not ours, under a checksum that is right only with ours, is a flipped bit and not a newer format.
        bool damaged = Crc32C.Compute(ours) != crc;
        if (version != Version && damaged)
        {
            throw new HengeException(
                ErrorCode.UnsupportedFormat,
                $"The log segment '{path}' has format version {version}; this build knows version {Version}. Start it with the build that "
                    + $"wrote it, or a newer one.");
        }

        return damaged || version != Version
            ? throw LogErrors.Damage(path, 0, "the header's checksum does not match")
            : new LogSegmentHeader(
                BinaryPrimitives.ReadUInt32LittleEndian(page[12..]),
                BinaryPrimitives.ReadUInt64LittleEndian(page[16..]),
                BinaryPrimitives.ReadUInt32LittleEndian(page[24..]),
                BinaryPrimitives.ReadUInt32LittleEndian(page[28..]));
    }
}

/// <summary>What a segment's first page says. It was synced before the file had its name.</summary>
/// <param name="Id">The segment's id.</param>
/// <param name="Salt">Goes into the checksums of its records.</param>
/// <param name="PreviousId">The segment before; 0 for the log's first.</param>
/// <param name="PreviousEnd">Where the records of the segment before end: all of them were synced.</param>
internal readonly record struct LogSegmentHeader(uint Id, ulong Salt, uint PreviousId, uint PreviousEnd);

/// <summary>
/// Says that all before <see cref="DurableEnd"/> was synced when the mark was written, and which incarnation the records after it belong to
/// (a new one begins at each open).
/// </summary>
internal readonly record struct LogMark(uint Incarnation, uint DurableEnd);

internal static class LogErrors
{
    internal static HengeException Damage(string path, long offset, string what) => new(
        ErrorCode.Corruption,
        $"The log segment '{path}' is damaged at offset {offset}: {what}. Nothing was changed. "
        + "Restore the directory from a backup or, for a node with healthy peers, replace the node; keep the damaged files for analysis.");

    internal static HengeException TooLarge(string what, long bytes, long limit) =>
        new(ErrorCode.TooLarge, $"{what} of {bytes} bytes is over the log's limit of {limit} bytes.");
}
