using System.Buffers.Binary;
using Henge.Core;

namespace Henge.Storage.Lsm.Manifests;

/// <summary>
/// Framing of the manifest: <c>length u32 | sequence u32 | header crc32c u32 | payload crc32c u32 | payload</c>, little-endian. The header
/// has a checksum of its own so that a flipped bit in the length does not look like a record that the crash cut short.
/// </summary>
internal static class ManifestRecord
{
    public const int HeaderBytes = 16;
    public const int SectorBytes = 512;

    public enum Outcome
    {
        Record,
        End,
        Torn,
        Damaged,
    }

    public static byte[] Encode(uint sequence, ReadOnlySpan<byte> payload)
    {
        byte[] record = new byte[HeaderBytes + payload.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(record, (uint)payload.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(4), sequence);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), Crc32C.Compute(record.AsSpan(0, 8)));
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(12), Crc32C.Compute(payload));
        payload.CopyTo(record.AsSpan(HeaderBytes));
        return record;
    }

    /// <summary>
    /// Reads the record at an offset of a whole manifest; with <see cref="Outcome.Record"/>, its payload and the offset after it.
    /// </summary>
    public static Outcome Read(ReadOnlySpan<byte> file, int offset, uint sequence, out ReadOnlySpan<byte> payload, out int next)
    {
        payload = default;
        next = offset;
        if (offset >= file.Length)
        {
            return Outcome.End;
        }

        ReadOnlySpan<byte> rest = file[offset..];
        if (TryHeader(rest, sequence, out int length) && length <= rest.Length - HeaderBytes)
        {
            payload = rest.Slice(HeaderBytes, length);
            if (Crc32C.Compute(payload) == BinaryPrimitives.ReadUInt32LittleEndian(rest[12..]))
            {
                next = offset + HeaderBytes + length;
                return Outcome.Record;
            }
        }

        return LooksTorn(file, offset, sequence) ? Outcome.Torn : Outcome.Damaged;
    }

    private static bool TryHeader(ReadOnlySpan<byte> rest, uint sequence, out int length)
    {
        length = 0;
        if (rest.Length < HeaderBytes
            || BinaryPrimitives.ReadUInt32LittleEndian(rest[8..]) != Crc32C.Compute(rest[..8])
            || BinaryPrimitives.ReadUInt32LittleEndian(rest[4..]) != sequence)
        {
            return false;
        }

        uint value = BinaryPrimitives.ReadUInt32LittleEndian(rest);
        length = (int)Math.Min(value, int.MaxValue);
        return value <= int.MaxValue;
    }

    // A crash can only tear the last record, since each is synced before the next is written: then the file ends inside it, or a
    // sector of it was never written and reads as zeros. Anything else was whole once, and is damage.
    private static bool LooksTorn(ReadOnlySpan<byte> file, int offset, uint sequence)
    {
        ReadOnlySpan<byte> rest = file[offset..];
        if (rest.Length < HeaderBytes)
        {
            return true;
        }

        bool headerIsGood = TryHeader(rest, sequence, out int length);
        if (headerIsGood && length > rest.Length - HeaderBytes)
        {
            return true;
        }

        int end = headerIsGood ? offset + HeaderBytes + length : Math.Min(file.Length, offset + HeaderBytes);
        for (int from = offset; from < end;)
        {
            int to = Math.Min(end, (from / SectorBytes + 1) * SectorBytes);
            if (!file[from..to].ContainsAnyExcept((byte)0))
            {
                return !HasLaterRecord(file, offset + 1, sequence);
            }

            from = to;
        }

        return false;
    }

    private static bool HasLaterRecord(ReadOnlySpan<byte> file, int from, uint sequence)
    {
        for (int at = from; at + HeaderBytes <= file.Length; at++)
        {
            ReadOnlySpan<byte> rest = file[at..];
            uint found = BinaryPrimitives.ReadUInt32LittleEndian(rest[4..]);
            if (
                found > sequence
                && found - sequence < 1 << 24
                && TryHeader(rest, found, out int length)
                && length <= rest.Length - HeaderBytes)
            {
                return true;
            }
        }

        return false;
    }
}
