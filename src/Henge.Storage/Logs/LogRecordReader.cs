using System.Buffers.Binary;
using Henge.Storage.Files;

namespace Henge.Storage.Logs;

/// <summary>Reads single records by position.</summary>
internal static class LogRecordReader
{
    // Most records are smaller, and then one read gets all.
    private const int FirstReadBytes = 4096;

    internal static ReadOnlySpan<byte> Read(LogSegment segment, uint offset, uint end, ref byte[] buffer, out byte kind)
    {
        if (buffer.Length < FirstReadBytes)
        {
            buffer = new byte[FirstReadBytes];
        }

        int count = (int)Math.Min(buffer.Length, end - offset);
        int read = segment.File.Read(offset, buffer.AsSpan(0, count));
        if (read < count)
        {
            throw LogErrors.Damage(segment.File.Path, offset, "the file ends within a record that was written");
        }

        uint length = BinaryPrimitives.ReadUInt32LittleEndian(buffer);
        uint id = BinaryPrimitives.ReadUInt32LittleEndian(buffer.AsSpan(8));
        if (id != segment.Id || length > end - offset - LogFormat.RecordHeaderBytes)
        {
            throw LogErrors.Damage(segment.File.Path, offset, "no good record begins here");
        }

        int total = LogFormat.RecordHeaderBytes + (int)length;
        if (total > count)
        {
            if (total > buffer.Length)
            {
                Array.Resize(ref buffer, total);
            }

            segment.File.ReadExactly(offset + (uint)count, buffer.AsSpan(count, total - count));
        }

        kind = buffer[12];
        return
            kind < LogFormat.FirstReservedKind
            && LogFormat.Checksum(segment.SeedAt(offset), buffer.AsSpan(0, total))
                == BinaryPrimitives.ReadUInt32LittleEndian(buffer.AsSpan(4))
            ? buffer.AsSpan(LogFormat.RecordHeaderBytes, (int)length)
            : throw LogErrors.Damage(segment.File.Path, offset, "the record's checksum does not match, or no record begins here");
    }
}
