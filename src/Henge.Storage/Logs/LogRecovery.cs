using Henge.Core;
using Henge.Storage.Files;

namespace Henge.Storage.Logs;

/// <summary>Reads all segments of a directory, in order, and finds out where the log ends. Changes nothing on the disk.</summary>
internal sealed class LogRecovery(IFileSystem files, string directory) : IDisposable
{
    private byte[]? _window;
    private long _records;

    internal List<LogSegment> Segments { get; } = [];

    /// <summary>Ids of spare files.</summary>
    internal List<uint> Spares { get; } = [];

    /// <summary>What the last segment's last mark, or its header, proves to be synced.</summary>
    internal uint LastProvenEnd { get; private set; } = LogFormat.SegmentHeaderBytes;

    /// <summary>No incarnation of the last segment was higher.</summary>
    internal uint HighestIncarnation { get; private set; }

    internal LogRecoveryReport Run(LogRecordHandler onRecord)
    {
        OpenSegments();
        string? cut = null;
        for (int i = 0; i < Segments.Count; i++)
        {
            if (i + 1 < Segments.Count)
            {
                ReadSealed(Segments[i], Segments[i + 1].Header.PreviousEnd, onRecord);
            }
            else
            {
                cut = ReadLast(Segments[i], onRecord);
            }
        }

        LogPosition end = Segments.Count == 0 ? default : new LogPosition(Segments[^1].Id, Segments[^1].End);
        return new LogRecoveryReport(_records, Segments.Count, end, cut);
    }

    /// <summary>Closes what was opened, if nobody took it over.</summary>
    public void Dispose()
    {
        foreach (LogSegment segment in Segments)
        {
            segment.Dispose();
        }
    }

    internal static LogSegmentHeader ReadHeader(IFile file, string path)
    {
        byte[] page = new byte[LogFormat.SegmentHeaderBytes];
        return LogFormat.ReadHeader(page.AsSpan(0, file.Read(0, page)), path);
    }

    private void OpenSegments()
    {
        foreach (string name in files.List(directory))
        {
            if (LogFormat.TryParseName(name, LogFormat.SpareSuffix, out uint spare))
            {
                Spares.Add(spare);
            }
            else if (LogFormat.TryParseName(name, LogFormat.SegmentSuffix, out uint id))
            {
                string path = Path.Combine(directory, name);
                IFile file = files.Open(path, FileOpenMode.ReadWrite);
                LogSegmentHeader header;
                try
                {
                    header = ReadHeader(file, path);
                    if (file.Length > LogFormat.MaxSegmentBytes)
                    {
                        throw LogErrors.Damage(
                            path,
                            LogFormat.MaxSegmentBytes,
                            $"with {file.Length} bytes it is larger than a segment can be");
                    }
                }
                catch
                {
                    file.Dispose();
                    throw;
                }

                Segments.Add(new LogSegment(file, header));
                if (header.Id != id)
                {
                    throw LogErrors.Damage(path, 12, $"its header says that it is segment {header.Id}; was it renamed or copied?");
                }
            }
        }

        // Names sort as ids do, since they have leading zeros.
        for (int i = 1; i < Segments.Count; i++)
        {
            uint previous = Segments[i].Header.PreviousId;
            if (previous != Segments[i - 1].Id)
            {
                throw new HengeException(
                    ErrorCode.Corruption,
                    $"The log in '{directory}' lacks segment {LogFormat.SegmentName(previous)}: {LogFormat.SegmentName(Segments[i].Id)} "
                        + $"follows it, and older ones are there. "
                        + "Nothing was changed. Put the file back, restore the directory from a backup or, for a node with healthy peers, "
                        + "replace the node.");
            }
        }
    }

    private void ReadSealed(LogSegment segment, uint end, LogRecordHandler onRecord)
    {
        if (end < LogFormat.SegmentHeaderBytes || end > segment.File.Length)
        {
            throw LogErrors.Damage(
                segment.File.Path,
                segment.File.Length,
                $"the next segment says that its records end at {end}, and the file does not");
        }

        LogSegmentReader reader = ReadRecords(segment, end, onRecord);
        if (reader.Offset != end)
        {
            throw LogErrors.Damage(
                segment.File.Path,
                reader.Offset,
                $"{reader.EndReason}, and the next segment says that good records go on to {end}");
        }
    }

    private string? ReadLast(LogSegment segment, LogRecordHandler onRecord)
    {
        LogSegmentReader reader = ReadRecords(segment, segment.File.Length, onRecord);
        uint highest = reader.Incarnation;
        long proof = reader.FindProofBehind(ref highest);
        HighestIncarnation = highest;
        if (proof >= 0)
        {
            throw LogErrors.Damage(
                segment.File.Path,
                reader.Offset,
                $"{reader.EndReason}, and the mark at {proof} says that what was here had been synced; so this is no torn tail");
        }

        return reader.LooksTorn
            ? $"The log segment '{segment.File.Path}' was cut at offset {reader.Offset}: {reader.EndReason}, and nothing after it had been "
                + $"synced."
            : null;
    }

    private LogSegmentReader ReadRecords(LogSegment segment, long limit, LogRecordHandler onRecord)
    {
        var reader = new LogSegmentReader(segment.File, segment.Header, limit, _window);
        LastProvenEnd = LogFormat.SegmentHeaderBytes;
        while (true)
        {
            uint before = reader.Incarnation;
            LogScan found = reader.Next();
            if (found == LogScan.Nothing)
            {
                break;
            }

            if (found == LogScan.Mark)
            {
                LastProvenEnd = Math.Max(LastProvenEnd, reader.Mark.DurableEnd);
                if (reader.Incarnation != before)
                {
                    segment.BeginIncarnation((uint)reader.RecordOffset, reader.Incarnation);
                }

                continue;
            }

            _records++;
            onRecord(new LogPosition(segment.Id, (uint)reader.RecordOffset), reader.Kind, reader.Payload);
        }

        _window = reader.Window;
        segment.End = (uint)reader.Offset;
        return reader;
    }
}
