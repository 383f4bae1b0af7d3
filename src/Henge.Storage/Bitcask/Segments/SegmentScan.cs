using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Logs;

namespace Henge.Storage.Bitcask.Segments;

/// <summary>Gets the items of a segment one by one, with the offset of each.</summary>
internal delegate void StoredEntryHandler(in StoredEntry item, uint offset);

/// <summary>Reads segments from their first record to their last. Each checksum is looked at. Pure functions but for the file.</summary>
internal static class SegmentScan
{
    /// <summary>The kind of a record that holds entries.</summary>
    public const byte EntriesKind = 2;

    /// <summary>Walks a sealed segment: all of it was synced, so whatever is wrong with it is damage.</summary>
    public static void ReadSealed(Segment segment, StoredEntryHandler handler)
    {
        var reader = new LogSegmentReader(segment.File, segment.Header, segment.End);
        while (reader.Offset < segment.End)
        {
            if (reader.Next() == LogScan.Nothing)
            {
                throw SegmentStore.Damage(segment.File.Path, reader.RecordOffset, reader.EndReason);
            }

            Visit(segment, reader, handler);
        }
    }

    /// <summary>
    /// Walks the segment that was being written when the last process ended. A torn tail ends it; a bad record that a later mark proves to
    /// have been synced is damage (decision 0010). Says where it ends, what of that is proven to be durable, and what is behind it, for a
    /// message; null when nothing is. Changes nothing.
    /// </summary>
    public static string? ReadOpen(Segment segment, StoredEntryHandler handler, out uint proven)
    {
        IFile file = segment.File;
        long length = Math.Min(file.Length, LogFormat.MaxSegmentBytes);
        var reader = new LogSegmentReader(file, segment.Header, length);
        proven = LogFormat.SegmentHeaderBytes;
        while (true)
        {
            LogScan found = reader.Next();
            if (found == LogScan.Nothing)
            {
                break;
            }

            if (found == LogScan.Mark)
            {
                proven = Math.Max(proven, reader.Mark.DurableEnd);
            }

            Visit(segment, reader, handler);
        }

        uint incarnation = 0;
        long end = reader.Offset;
        string reason = reader.EndReason;
        long proof = reader.FindProofBehind(ref incarnation);
        if (proof >= 0)
        {
            throw SegmentStore.Damage(
                file.Path,
                end,
                $"{reason}, and a mark at offset {proof} says that what lies there had been synced");
        }

        segment.End = (uint)end;
        return length > end ? $"{file.Path}: {length - end} bytes from offset {end} on ({reason})" : null;
    }

    /// <summary>Makes durable what <see cref="ReadOpen"/> found, and cuts what is behind it.</summary>
    public static void MakeDurable(Segment segment, uint proven) => MakeDurable(segment.File, proven, segment.End);

    // Written once more, the same bytes: the last process may have died of a failed sync, after which the kernel holds as clean what never
    // reached the disk.
    private static void MakeDurable(IFile file, uint from, uint end)
    {
        byte[] buffer = new byte[(int)Math.Clamp(end - from, 1, 1 << 20)];
        for (uint at = from; at < end;)
        {
            int count = (int)Math.Min(buffer.Length, end - at);
            file.ReadExactly(at, buffer.AsSpan(0, count));
            file.Write(at, buffer.AsSpan(0, count));
            at += (uint)count;
        }

        if (file.Length > end)
        {
            file.Truncate(end);
        }

        file.Sync();
    }

    private static void Visit(Segment segment, LogSegmentReader reader, StoredEntryHandler handler)
    {
        if (reader.Kind == LogFormat.MarkKind)
        {
            return;
        }

        if (reader.Kind != EntriesKind)
        {
            throw new HengeException(
                ErrorCode.UnsupportedFormat,
                $"{segment.File.Path} has at offset {reader.RecordOffset} a record of kind {reader.Kind}, which this build does not know. "
                    + "Open the directory with the build that wrote it, or a newer one.");
        }

        ReadOnlySpan<byte> payload = reader.Payload;
        uint offset = (uint)reader.RecordOffset + LogFormat.RecordHeaderBytes;
        while (!payload.IsEmpty)
        {
            if (!StoredEntry.TryRead(payload, out StoredEntry item) || (!item.IsPosition && !StoredEntry.IsWhole(payload[..item.Length])))
            {
                throw SegmentStore.Damage(
                    segment.File.Path,
                    offset,
                    "the entry there makes no sense, though its record's checksum is right: it was written by a faulty build");
            }

            handler(item, offset);
            payload = payload[item.Length..];
            offset += (uint)item.Length;
        }
    }
}
