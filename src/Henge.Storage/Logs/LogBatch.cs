using System.Buffers.Binary;
using Henge.Core;

namespace Henge.Storage.Logs;

/// <summary>
/// Records that one write puts into the log. Reusable: <see cref="Clear"/> keeps the memory, so that adding allocates only while the batch
/// grows to its usual size. Get one from <see cref="SegmentedLog.CreateBatch"/>. Not thread-safe.
/// </summary>
public sealed class LogBatch
{
    // What one rare, large batch took is not kept for ever.
    private const int KeptBytes = 4 << 20;

    private readonly int _maxRecordBytes;
    private readonly int _maxBytes;
    private byte[] _buffer = new byte[4096];
    private int[] _starts = new int[16];
    // Room is left in front for the mark that an append may have to write first.
    private int _length = LogFormat.MarkBytes;

    internal LogBatch(int maxRecordBytes, int maxBytes)
    {
        _maxRecordBytes = maxRecordBytes;
        _maxBytes = maxBytes;
    }

    /// <summary>How many records it holds.</summary>
    public int Count { get; private set; }

    /// <summary>Bytes that it takes in the log, framing included.</summary>
    public int ByteCount => _length - LogFormat.MarkBytes;

    /// <summary>Where the first record went, once appended.</summary>
    public LogPosition FirstPosition { get; internal set; }

    /// <summary>Where record <paramref name="index"/> went, once appended.</summary>
    public LogPosition PositionOf(int index)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)Count, nameof(index));
        return FirstPosition with { Offset = FirstPosition.Offset + (uint)(_starts[index] - LogFormat.MarkBytes) };
    }

    /// <summary>True if a record with a payload of this size still has room; if not, append this batch first.</summary>
    public bool Fits(int payloadBytes) => payloadBytes <= _maxBytes - ByteCount - LogFormat.RecordHeaderBytes;

    /// <summary>Adds a record; <paramref name="kind"/> is the caller's, below 0xF0.</summary>
    /// <exception cref="HengeException"><see cref="ErrorCode.TooLarge"/>: the record, or the batch with it, is over its limit. Nothing was
    /// added.</exception>
    public void Add(byte kind, ReadOnlySpan<byte> payload) => payload.CopyTo(Add(kind, payload.Length));

    /// <summary>Adds a record whose payload the caller writes into the result before the next call. Errors as above.</summary>
    public Span<byte> Add(byte kind, int payloadBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(payloadBytes);
        if (kind >= LogFormat.FirstReservedKind)
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"The record kind {kind} is the log's own; use one below {LogFormat.FirstReservedKind}.");
        }

        if (payloadBytes > _maxRecordBytes)
        {
            throw LogErrors.TooLarge("A record", payloadBytes, _maxRecordBytes);
        }

        if (!Fits(payloadBytes))
        {
            throw LogErrors.TooLarge("A batch", (long)ByteCount + LogFormat.RecordHeaderBytes + payloadBytes, _maxBytes);
        }

        int start = _length;
        int end = start + LogFormat.RecordHeaderBytes + payloadBytes;
        if (end > _buffer.Length)
        {
            Array.Resize(ref _buffer, (int)Math.Min(Array.MaxLength, Math.Max(end, 2L * _buffer.Length)));
        }

        if (Count == _starts.Length)
        {
            Array.Resize(ref _starts, 2 * Count);
        }

        // The rest of the header needs the segment, which is known when the batch is appended.
        _buffer[start + 12] = kind;
        _starts[Count++] = start;
        _length = end;
        return _buffer.AsSpan(start + LogFormat.RecordHeaderBytes, payloadBytes);
    }

    /// <summary>Empties it and keeps the memory.</summary>
    public void Clear()
    {
        Count = 0;
        _length = LogFormat.MarkBytes;
        FirstPosition = default;
        if (_buffer.Length > KeptBytes)
        {
            _buffer = new byte[KeptBytes];
        }
    }

    /// <summary>Completes the records and gives the bytes to write: with the mark in front, if there is one.</summary>
    internal ReadOnlySpan<byte> Seal(in LogSegmentHeader segment, uint seed, LogMark? mark)
    {
        for (int i = 0; i < Count; i++)
        {
            int start = _starts[i];
            int end = i + 1 < Count ? _starts[i + 1] : _length;
            LogFormat.WriteRecordHeader(_buffer.AsSpan(start, end - start), seed, segment.Id, _buffer[start + 12]);
        }

        if (mark is null)
        {
            return _buffer.AsSpan(LogFormat.MarkBytes, ByteCount);
        }

        LogFormat.WriteMark(_buffer, segment.Salt, segment.Id, mark.Value);
        return _buffer.AsSpan(0, _length);
    }
}
