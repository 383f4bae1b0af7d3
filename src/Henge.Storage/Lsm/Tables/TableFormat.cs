using System.Buffers.Binary;
using System.Numerics;
using Henge.Core;

namespace Henge.Storage.Lsm.Tables;

/// <summary>Where a block lies in a table's file: its stored payload, without codec byte and checksum.</summary>
internal readonly record struct BlockHandle(long Offset, int Length)
{
    /// <summary>Where the next thing in the file begins.</summary>
    public long End => Offset + Length + TableFormat.BlockTrailerBytes;
}

/// <summary>The frame of a table's file: header, block trailers, footer (docs/formats.md). Pure functions.</summary>
internal static class TableFormat
{
    /// <summary>"HENGETBL".</summary>
    public const ulong Magic = 0x4C42_5445_474E_4548;

    /// <summary>The format that this build writes.</summary>
    public const uint FormatVersion = 2;

    /// <summary>The oldest format that it reads: version 1 has no <see cref="EntryKind.PutTyped"/> and is otherwise the same.</summary>
    public const uint OldestFormatVersion = 1;

    /// <summary>Magic u64, format version u32, CRC-32C of the two.</summary>
    public const int HeaderBytes = 16;

    /// <summary>Codec u8, CRC-32C u32.</summary>
    public const int BlockTrailerBytes = 5;

    /// <summary>Three handles, file length, reserved, format version, CRC-32C, magic.</summary>
    public const int FooterBytes = 64;

    /// <summary>A block must be shorter than this, whatever a file says: a bound for what is allocated for it.</summary>
    public const int MaxBlockBytes = 1 << 30;

    private const int ChecksummedFooterBytes = 52;

    /// <summary>Writes the header.</summary>
    public static void WriteHeader(Span<byte> header)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(header, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], FormatVersion);
        BinaryPrimitives.WriteUInt32LittleEndian(header[12..], Crc32C.Compute(header[..12]));
    }

    /// <summary>Checks the header.</summary>
    public static void CheckHeader(ReadOnlySpan<byte> header, string path)
    {
        if (BinaryPrimitives.ReadUInt64LittleEndian(header) != Magic)
        {
            throw Damaged(path, 0, "the file does not begin as a Henge table does");
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(header[12..]) != Crc32C.Compute(header[..12]))
        {
            throw Damaged(path, 0, "the header's checksum does not match");
        }

        CheckVersion(BinaryPrimitives.ReadUInt32LittleEndian(header[8..]), path);
    }

    /// <summary>Writes the footer, which ends the file.</summary>
    public static void WriteFooter(Span<byte> footer, BlockHandle filter, BlockHandle index, BlockHandle properties)
    {
        WriteHandle(footer, filter);
        WriteHandle(footer[12..], index);
        WriteHandle(footer[24..], properties);
        BinaryPrimitives.WriteInt64LittleEndian(footer[36..], properties.End + FooterBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(footer[44..], 0);
        BinaryPrimitives.WriteUInt32LittleEndian(footer[48..], FormatVersion);
        BinaryPrimitives.WriteUInt32LittleEndian(footer[52..], Crc32C.Compute(footer[..ChecksummedFooterBytes]));
        BinaryPrimitives.WriteUInt64LittleEndian(footer[56..], Magic);
    }

    /// <summary>Checks the footer and reads it.</summary>
    public static void ReadFooter(
        ReadOnlySpan<byte> footer, long fileLength, string path, out BlockHandle filter, out BlockHandle index, out BlockHandle properties)
    {
        long at = fileLength - FooterBytes;
        if (BinaryPrimitives.ReadUInt64LittleEndian(footer[56..]) != Magic)
        {
            throw Damaged(path, at, "the file does not end as a Henge table does; it may be cut short");
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(footer[52..]) != Crc32C.Compute(footer[..ChecksummedFooterBytes]))
        {
            throw Damaged(path, at, "the footer's checksum does not match");
        }

        CheckVersion(BinaryPrimitives.ReadUInt32LittleEndian(footer[48..]), path);
        filter = ReadHandle(footer);
        index = ReadHandle(footer[12..]);
        properties = ReadHandle(footer[24..]);
        bool ordered = filter.Offset >= HeaderBytes && filter.Length >= 0 && filter.End == index.Offset && index.Length >= 0
            && index.End == properties.Offset && properties.Length >= 0 && properties.End == at
            && filter.Length < MaxBlockBytes && index.Length < MaxBlockBytes && properties.Length < MaxBlockBytes;
        if (!ordered || BinaryPrimitives.ReadInt64LittleEndian(footer[36..]) != fileLength)
        {
            throw Damaged(path, at, $"the footer does not fit a file of {fileLength} bytes");
        }
    }

    /// <summary>
    /// The checksum of a block: over its offset (u64 LE), its stored payload and its codec byte. With the offset, a block that
    /// the disk put in another's place does not pass for it.
    /// </summary>
    public static uint Checksum(long offset, ReadOnlySpan<byte> payload, byte codec)
    {
        uint state = Crc32C.Append(BitOperations.Crc32C(Crc32C.Start, (ulong)offset), payload);
        return Crc32C.Finish(BitOperations.Crc32C(state, codec));
    }

    /// <summary>Checks a block as it lies in the file (payload, codec, checksum) and returns its codec.</summary>
    public static BlockCodec CheckBlock(ReadOnlySpan<byte> stored, long offset, string path)
    {
        int length = stored.Length - BlockTrailerBytes;
        uint expected = BinaryPrimitives.ReadUInt32LittleEndian(stored[(length + 1)..]);
        if (Checksum(offset, stored[..length], stored[length]) != expected)
        {
            throw Damaged(path, offset, $"the checksum of a block of {length} bytes does not match");
        }

        return (BlockCodec)stored[length];
    }

    /// <summary>The error for damage.</summary>
    public static HengeException Damaged(string path, long offset, string what) =>
        new(
            ErrorCode.Corruption,
            $"Table '{path}' is damaged at offset {offset}: {what}. Restore the file from another replica or a checkpoint.");

    /// <summary>The error for what the disk cannot read.</summary>
    public static HengeException Unreadable(string path, long offset, IOException error) =>
        new(
            ErrorCode.Corruption,
            $"Table '{path}' cannot be read at offset {offset}: {error.Message} Restore the file from another replica or a checkpoint, and "
                + $"look after the disk.",
            error);

    private static void CheckVersion(uint version, string path)
    {
        if (version is < OldestFormatVersion or > FormatVersion)
        {
            throw new HengeException(
                ErrorCode.UnsupportedFormat,
                $"Table '{path}' has format version {version}, but this build reads versions {OldestFormatVersion} to {FormatVersion} "
                    + $"only. Open it with the release that wrote it, or a later one.");
        }
    }

    private static void WriteHandle(Span<byte> at, BlockHandle handle)
    {
        BinaryPrimitives.WriteInt64LittleEndian(at, handle.Offset);
        BinaryPrimitives.WriteInt32LittleEndian(at[8..], handle.Length);
    }

    private static BlockHandle ReadHandle(ReadOnlySpan<byte> at) =>
        new(BinaryPrimitives.ReadInt64LittleEndian(at), BinaryPrimitives.ReadInt32LittleEndian(at[8..]));
}
