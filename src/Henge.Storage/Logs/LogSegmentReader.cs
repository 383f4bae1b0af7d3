using System.Buffers.Binary;
using Henge.Core;
using Henge.Storage.Files;

namespace Henge.Storage.Logs;

/// <summary>What <see cref="LogSegmentReader.Next"/> found.</summary>
internal enum LogScan
{
    Record,
    Mark,

    /// <summary>
    /// No valid record begins here: <see cref="LogSegmentReader.EndReason"/> says why. Whether that is an end or damage, the caller must
    /// find out.
    /// </summary>
    Nothing,
}

/// <summary>Walks the records of one segment. Reads ahead in large pieces; allocates only for records larger than these.</summary>
internal sealed class LogSegmentReader
{
    private const int WindowBytes = 256 * 1024;

    private readonly IFile _file;
    private readonly LogSegmentHeader _header;
    private readonly long _limit;
    private byte[] _window;
    private long _windowStart;
    private int _windowLength;

    /// <summary>Reads from the first record to at most <paramref name="limit"/>. The window is the caller's to use again.</summary>
    internal LogSegmentReader(IFile file, in LogSegmentHeader header, long limit, byte[]? window = null)
    {
        _file = file;
        _header = header;
        _limit = limit;
        _window = window ?? new byte[(int)Math.Clamp(limit, 4096, WindowBytes)];
        Seed = LogFormat.Seed(header.Salt, 0);
    }

    internal byte[] Window => _window;

    /// <summary>Where the next record begins.</summary>
    internal long Offset { get; private set; } = LogFormat.SegmentHeaderBytes;

    /// <summary>Where the record that was found begins.</summary>
    internal long RecordOffset { get; private set; }

    internal byte Kind { get; private set; }

    internal LogMark Mark { get; private set; }

    internal uint Incarnation { get; private set; }

    internal uint Seed { get; private set; }

    /// <summary>The payload of the record that was found; valid until the next call.</summary>
    internal ReadOnlySpan<byte> Payload => _window.AsSpan(_payloadStart, _payloadLength);

    internal string EndReason { get; private set; } = "";

    /// <summary>True if a record of this segment was begun at this place and is not complete.</summary>
    internal bool LooksTorn { get; private set; }

    private int _payloadStart;
    private int _payloadLength;

    /// <summary>Finds the next record.</summary>
    internal LogScan Next()
    {
        RecordOffset = Offset;
        LooksTorn = false;
        if (_limit - Offset < LogFormat.RecordHeaderBytes)
        {
            return Nothing("the segment ends within a record's header");
        }

        ReadOnlySpan<byte> record = Bytes(LogFormat.RecordHeaderBytes);
        if (record.Length < LogFormat.RecordHeaderBytes)
        {
            return Nothing("the file ends within a record's header");
        }

        uint length = BinaryPrimitives.ReadUInt32LittleEndian(record);
        uint id = BinaryPrimitives.ReadUInt32LittleEndian(record[8..]);
        if (id != _header.Id)
        {
            return Nothing($"a record of segment {id} stands where one of segment {_header.Id} should");
        }

        LooksTorn = true;
        if (length > _limit - Offset - LogFormat.RecordHeaderBytes)
        {
            return Nothing($"a record's length of {length} bytes goes beyond the segment's end");
        }

        int total = LogFormat.RecordHeaderBytes + (int)length;
        record = Bytes(total);
        if (record.Length < total)
        {
            return Nothing("the file ends within a record");
        }

        if (record[12] == LogFormat.MarkKind)
        {
            return NextMark(record);
        }

        if (LogFormat.Checksum(Seed, record) != BinaryPrimitives.ReadUInt32LittleEndian(record[4..]))
        {
            return Nothing("a record's checksum does not match");
        }

        Kind = record[12];
        if (Kind >= LogFormat.FirstReservedKind)
        {
            throw new HengeException(
                ErrorCode.UnsupportedFormat,
                $"The log segment '{_file.Path}' has at offset {Offset} a record of kind {Kind}, which this build does not know. Start it "
                    + $"with the build that wrote it, or a newer one.");
        }

        Take(total);
        return LogScan.Record;
    }

    /// <summary>
    /// Looks behind <see cref="Offset"/> for a mark that says that more than this was synced. If there is one, the bytes at the offset were
    /// good once, and what is there now is damage, not a torn tail. Marks are found at any byte, whatever the lengths between say.
    /// </summary>
    /// <returns>Where the mark is; -1 if there is none. <paramref name="highestIncarnation"/> rises to the highest of any valid
    /// mark.</returns>
    internal long FindProofBehind(ref uint highestIncarnation)
    {
        Span<byte> pattern = stackalloc byte[5];
        BinaryPrimitives.WriteUInt32LittleEndian(pattern, _header.Id);
        pattern[4] = LogFormat.MarkKind;
        long from = Offset;
        long proof = -1;
        byte[] buffer = _window;
        for (long at = from; at < _limit;)
        {
            int read = _file.Read(at, buffer.AsSpan(0, (int)Math.Min(buffer.Length, _limit - at)));
            ReadOnlySpan<byte> bytes = buffer.AsSpan(0, read);
            for (int start = 0; ;)
            {
                int found = bytes[start..].IndexOf(pattern);
                if (found < 0)
                {
                    break;
                }

                int markAt = start + found - 8;
                start += found + 1;
                if (markAt >= 0 && LogFormat.TryReadMark(bytes[markAt..], _header.Salt, _header.Id, out LogMark mark))
                {
                    highestIncarnation = Math.Max(highestIncarnation, mark.Incarnation);
                    if (mark.DurableEnd > from && proof < 0)
                    {
                        proof = at + markAt;
                    }
                }
            }

            if (read < LogFormat.MarkBytes || at + read >= _limit)
            {
                break;
            }

            // A mark may lie across the end of what was read.
            at += read - LogFormat.MarkBytes + 1;
        }

        _windowLength = 0;
        return proof;
    }

    private LogScan NextMark(ReadOnlySpan<byte> record)
    {
        if (!LogFormat.TryReadMark(record, _header.Salt, _header.Id, out LogMark mark) || record.Length != LogFormat.MarkBytes)
        {
            return Nothing("a mark's checksum does not match");
        }

        // Marks of an earlier incarnation are left over from a tail that was cut.
        if (mark.Incarnation < Incarnation || mark.DurableEnd > Offset)
        {
            return Nothing("a mark stands where it does not belong");
        }

        Mark = mark;
        Kind = LogFormat.MarkKind;
        if (mark.Incarnation != Incarnation)
        {
            Incarnation = mark.Incarnation;
            Seed = LogFormat.Seed(_header.Salt, mark.Incarnation);
        }

        Take(LogFormat.MarkBytes);
        return LogScan.Mark;
    }

    private void Take(int bytes)
    {
        _payloadStart = (int)(Offset - _windowStart) + LogFormat.RecordHeaderBytes;
        _payloadLength = bytes - LogFormat.RecordHeaderBytes;
        Offset += bytes;
    }

    private LogScan Nothing(string reason)
    {
        EndReason = reason;
        return LogScan.Nothing;
    }

    /// <summary>The next bytes from the offset on; fewer only at the end of the file.</summary>
    private ReadOnlySpan<byte> Bytes(int count)
    {
        long skip = Offset - _windowStart;
        if (skip < 0 || skip + count > _windowLength)
        {
            if (count > _window.Length)
            {
                _window = new byte[(int)Math.Max(count, Math.Min(2L * _window.Length, _limit))];
            }

            _windowStart = Offset;
            _windowLength = _file.Read(Offset, _window.AsSpan(0, (int)Math.Min(_window.Length, _limit - Offset)));
            skip = 0;
        }

        return _window.AsSpan((int)skip, Math.Min(count, _windowLength - (int)skip));
    }
}
