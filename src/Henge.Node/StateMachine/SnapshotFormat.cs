using System.Buffers.Binary;
using Henge.Core;

namespace Henge.Node.StateMachine;

/// <summary>
/// The stream of a shard's snapshot (docs/formats.md, "Shard snapshots"): chunks <c>magic u32 LE | sequence u32 LE | length u32 LE | crc32c
/// u32 LE | bytes</c>, whose bytes together are records <c>length varint | type u8 | body</c>: a header, the shard's own records, the
/// users' entries (keys falling, versions of a key rising), an end.
/// </summary>
internal static class SnapshotFormat
{
    public const uint Magic = 0x31535348; // "HSS1"
    public const byte Format = 2;

    /// <summary>Format 1 has no entries with a type; it is read as well.</summary>
    public const byte OldestFormat = 1;

    public const int ChunkHeaderBytes = 16;

    /// <summary>Smallest buffer for a chunk.</summary>
    public const int MinChunkBytes = 64;

    /// <summary>Largest chunk that is taken.</summary>
    public const int MaxChunkBytes = 16 * 1024 * 1024;

    /// <summary>Largest record that is taken.</summary>
    public const int MaxRecordBytes = 320 * 1024 * 1024;

    public const byte HeaderRecord = 1;
    public const byte SystemRecord = 2;
    public const byte EntryRecord = 3;
    public const byte EndRecord = 4;

    public static void WriteChunkHeader(Span<byte> chunk, uint sequence)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(chunk, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(chunk[4..], sequence);
        BinaryPrimitives.WriteUInt32LittleEndian(chunk[8..], (uint)(chunk.Length - ChunkHeaderBytes));
        BinaryPrimitives.WriteUInt32LittleEndian(chunk[12..], Checksum(chunk));
    }

    /// <summary>
    /// The bytes of a chunk. Throws <see cref="HengeException"/> (Corruption) when it is not the one that is expected, whole.
    /// </summary>
    public static ReadOnlySpan<byte> ReadChunk(ReadOnlySpan<byte> chunk, uint sequence)
    {
        if (chunk.Length is < ChunkHeaderBytes or > MaxChunkBytes || BinaryPrimitives.ReadUInt32LittleEndian(chunk) != Magic)
        {
            throw new HengeException(
                ErrorCode.Corruption,
                $"Chunk {sequence} of a snapshot is not one: it has {chunk.Length} bytes, or another magic.");
        }

        uint found = BinaryPrimitives.ReadUInt32LittleEndian(chunk[4..]);
        if (
            BinaryPrimitives.ReadUInt32LittleEndian(chunk[8..]) != chunk.Length - ChunkHeaderBytes
            || BinaryPrimitives.ReadUInt32LittleEndian(chunk[12..]) != Checksum(chunk))
        {
            throw new HengeException(ErrorCode.Corruption, $"Chunk {found} of a snapshot fails its checksum.");
        }

        return found == sequence
            ? chunk[ChunkHeaderBytes..]
            : throw new HengeException(ErrorCode.Corruption, $"Chunk {found} of a snapshot came where chunk {sequence} belongs.");
    }

    private static uint Checksum(ReadOnlySpan<byte> chunk) =>
        Crc32C.Finish(Crc32C.Append(Crc32C.Append(Crc32C.Start, chunk[4..12]), chunk[ChunkHeaderBytes..]));
}
