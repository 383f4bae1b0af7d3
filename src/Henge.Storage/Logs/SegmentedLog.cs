using System.Runtime.ExceptionServices;
using Henge.Core;
using Henge.Storage.Files;

namespace Henge.Storage.Logs;

/// <summary>
/// A log of checksummed records in segments: append many with one write, make them durable with one sync, read them all back at the next
/// open or one by position, drop the oldest. It loses nothing that was synced, invents nothing, starts after every crash, and refuses to
/// start on damage. The format is in docs/formats.md, its reasons in docs/decisions/0010.
/// </summary>
/// <remarks>
/// <para>One thread at a time may append, sync and truncate; any number may read beside it. Nothing here starts threads or waits for
/// any.</para>
/// <para>
/// After a failed write or sync (other than a full disk that was noticed before anything changed) the log is finished: every later append
/// and sync throws. What was appended since the last good sync may or may not be there at the next open. The owner must stop.
/// </para>
/// <para>The owner holds the lock of the directory; the log takes none.</para>
/// </remarks>
public sealed class SegmentedLog : IDisposable
{
    private readonly SegmentedLogOptions _options;
    private readonly LogSegmentStore _store;
    private readonly Lock _gate = new();
    private readonly SortedDictionary<uint, LogSegment> _segments;
    private readonly LogBatch _single;
    private LogSegment _current;
    private uint _seed;
    private uint _incarnation;
    private uint _end;
    private uint _durableEnd;
    private uint _markedEnd;
    private uint _zeroedEnd;
    private long _capacity;
    private bool _newIncarnationDue;
    private LogPosition _droppedBelow;
    private ExceptionDispatchInfo? _failure;
    private bool _disposed;

    private SegmentedLog(
        SegmentedLogOptions options,
        LogSegmentStore store,
        IEnumerable<LogSegment> segments,
        LogSegment current,
        LogRecoveryReport report)
    {
        _options = options;
        _store = store;
        _segments = new SortedDictionary<uint, LogSegment>(segments.ToDictionary(static s => s.Id));
        _current = current;
        _single = CreateBatch();
        Recovery = report;
    }

    /// <summary>What the open found.</summary>
    public LogRecoveryReport Recovery { get; }

    /// <summary>The largest payload of a record.</summary>
    public int MaxRecordBytes => _options.EffectiveMaxRecordBytes;

    /// <summary>The most that one batch can take, framing included.</summary>
    public int MaxBatchBytes => _options.MaxBatchBytes;

    /// <summary>Where the next append goes, or before: the log's end.</summary>
    public LogPosition End
    {
        get
        {
            lock (_gate)
            {
                return new LogPosition(_current.Id, _end);
            }
        }
    }

    /// <summary>No record lies below this; those at and above it are there.</summary>
    public LogPosition First
    {
        get
        {
            lock (_gate)
            {
                return new LogPosition(_segments.First().Key, LogFormat.SegmentHeaderBytes);
            }
        }
    }

    /// <summary>Bytes of records, framing included.</summary>
    public long SizeBytes
    {
        get
        {
            lock (_gate)
            {
                return _segments.Values.Sum(s => (s == _current ? _end : s.End) - LogFormat.SegmentHeaderBytes);
            }
        }
    }

    /// <summary>Bytes that the log takes on the disk, preallocated and spare segments included.</summary>
    public long DiskBytes
    {
        get
        {
            lock (_gate)
            {
                return _segments.Values.Sum(static s => s.File.Length) + _store.SpareBytes;
            }
        }
    }

    /// <summary>
    /// Opens a log, or begins one in an empty or missing directory, and hands every record to <paramref name="onRecord"/>. A torn tail is
    /// cut (see <see cref="LogRecoveryReport.CutTail"/>). When it returns, all records that were handed out are durable.
    /// </summary>
    /// <exception cref="HengeException">
    /// <see cref="ErrorCode.Corruption"/>: damage that no crash explains, with file and offset; nothing was changed.
    /// <see cref="ErrorCode.UnsupportedFormat"/>: written by another version. <see cref="ErrorCode.InvalidArgument"/>: a bad setting.
    /// </exception>
    public static SegmentedLog Open(IFileSystem files, string directory, SegmentedLogOptions options, LogRecordHandler onRecord)
    {
        options.Validate();
        files.CreateDirectoryDurably(directory);

        // Names that the last process saw, but did not sync, are still at risk.
        files.SyncDirectory(directory);
        using var recovery = new LogRecovery(files, directory);
        LogRecoveryReport report = recovery.Run(onRecord);
        var store = new LogSegmentStore(files, directory, options, recovery.Spares);
        LogSegment? last = recovery.Segments.LastOrDefault();
        if (last is null)
        {
            last = store.Create(previous: null, previousEnd: 0, out bool isFresh);
            recovery.Segments.Add(last);
            var created = new SegmentedLog(
                options,
                store,
                recovery.Segments,
                last,
                report with
                {
                    End = new LogPosition(last.Id, last.End),
                });
            created.Enter(last, isFresh);
            recovery.Segments.Clear();
            return created;
        }

        MakeTailDurable(last, recovery.LastProvenEnd);
        var log = new SegmentedLog(options, store, recovery.Segments, last, report);
        log.Resume(last, recovery.HighestIncarnation, recovery.LastProvenEnd);
        recovery.Segments.Clear();
        return log;
    }

    /// <summary>An empty batch for this log.</summary>
    public LogBatch CreateBatch() => new(_options.EffectiveMaxRecordBytes, _options.MaxBatchBytes);

    /// <summary>
    /// Appends all records of a batch with one write. They are in order, in one segment, and durable only after <see cref="Sync"/>.
    /// </summary>
    /// <returns>The position of the first; the batch then knows the others.</returns>
    /// <exception cref="DiskFullException">
    /// There is no room for another segment; appending works again once there is. (On a file system that cannot reserve space, records of
    /// the refused batch may still turn up if the process dies before its next append.)
    /// </exception>
    /// <exception cref="IOException">The log is finished.</exception>
    public LogPosition Append(LogBatch batch)
    {
        ThrowIfUnusable();
        if (batch.Count == 0)
        {
            return batch.FirstPosition = new LogPosition(_current.Id, _end);
        }

        if (batch.ByteCount > _options.MaxBatchBytes)
        {
            throw LogErrors.TooLarge("A batch", batch.ByteCount, _options.MaxBatchBytes);
        }

        if (batch.ByteCount + 2 * LogFormat.MarkBytes > _capacity - _end)
        {
            Roll();
        }

        if (_newIncarnationDue)
        {
            BeginIncarnation(_incarnation + 1);
        }

        LogMark? mark = _durableEnd > _markedEnd ? new LogMark(_incarnation, _durableEnd) : null;
        ReadOnlySpan<byte> bytes = batch.Seal(_current.Header, _seed, mark);
        Write(bytes);
        if (mark is not null)
        {
            _markedEnd = _durableEnd;
        }

        uint first = _end + (mark is null ? 0u : LogFormat.MarkBytes);
        lock (_gate)
        {
            _end += (uint)bytes.Length;
            _current.End = _end;
        }

        return batch.FirstPosition = new LogPosition(_current.Id, first);
    }

    /// <summary>Appends one record. Errors as for a batch, and <see cref="ErrorCode.TooLarge"/>.</summary>
    public LogPosition Append(byte kind, ReadOnlySpan<byte> payload)
    {
        _single.Clear();
        _single.Add(kind, payload);
        return Append(_single);
    }

    /// <summary>Makes everything appended so far durable.</summary>
    /// <exception cref="IOException">The log is finished; what was appended since the last good sync may be lost.</exception>
    public void Sync()
    {
        ThrowIfUnusable();
        if (_durableEnd == _end)
        {
            return;
        }

        uint end = _end;
        try
        {
            _current.File.Sync();
        }
        catch (DiskFullException e)
        {
            // Noticed too late (some file systems only find room when they write back): what is durable is not known any more.
            Fail(e);
            throw new IOException(e.Message, e);
        }
        catch (Exception e)
        {
            Fail(e);
            throw;
        }

        _durableEnd = end;
    }

    /// <summary>Reads one record and checks it. The result lies in the buffer, which grows when it must.</summary>
    /// <exception cref="HengeException">
    /// <see cref="ErrorCode.InvalidArgument"/>: the log has no such position (any more). <see cref="ErrorCode.Corruption"/>: what is there
    /// is not a good record.
    /// </exception>
    public ReadOnlySpan<byte> Read(LogPosition position, ref byte[] buffer, out byte kind)
    {
        LogSegment? segment;
        uint end;
        lock (_gate)
        {
            if (!_segments.TryGetValue(position.SegmentId, out segment) || !segment.TryAcquire())
            {
                throw NoSuchPosition(position);
            }

            end = segment.End;
        }

        try
        {
            return position.Offset < LogFormat.SegmentHeaderBytes || (long)position.Offset + LogFormat.RecordHeaderBytes > end
                ? throw NoSuchPosition(position)
                : LogRecordReader.Read(segment, position.Offset, end, ref buffer, out kind);
        }
        finally
        {
            segment.Release();
        }
    }

    /// <summary>
    /// Ends the current segment, if it has records, so that <see cref="TruncateFront"/> can drop it later. Syncs what was appended. Errors
    /// as for <see cref="Append(LogBatch)"/>.
    /// </summary>
    public void StartNewSegment()
    {
        ThrowIfUnusable();
        if (_end > LogFormat.SegmentHeaderBytes)
        {
            Roll();
        }
    }

    /// <summary>
    /// Drops segments that lie wholly below a position (never the one that is written). Their space is recycled. A segment that a reader
    /// is at work in, and those after it, go with a later call.
    /// </summary>
    /// <exception cref="IOException">The log is finished.</exception>
    public void TruncateFront(LogPosition first)
    {
        ThrowIfUnusable();
        _droppedBelow = first > _droppedBelow ? first : _droppedBelow;
        while (true)
        {
            LogSegment oldest;
            lock (_gate)
            {
                oldest = _segments.First().Value;
                if (oldest == _current || oldest.Id >= _droppedBelow.SegmentId || !oldest.TryRetire())
                {
                    return;
                }

                _segments.Remove(oldest.Id);
            }

            // One at a time, each durable before the next: a crash must not leave a hole.
            try
            {
                _store.Retire(oldest);
            }
            catch (Exception e)
            {
                Fail(e);
                throw;
            }
        }
    }

    /// <summary>
    /// Closes the log. Syncs what was appended and marks it as synced, so that damage to any of it will be noticed at the next open.
    /// </summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        try
        {
            if (_failure is null && !_newIncarnationDue)
            {
                Sync();
                if (_durableEnd > _markedEnd && _capacity - _end >= LogFormat.MarkBytes)
                {
                    AppendMark(new LogMark(_incarnation, _durableEnd));
                    Sync();
                }
            }
        }
        catch (IOException)
        {
            // Nobody waits for these bytes: what was acknowledged had been synced. The next open sorts out the tail.
            _failure ??= ExceptionDispatchInfo.Capture(new IOException("The log was closed after an error."));
        }
        finally
        {
            _disposed = true;
            lock (_gate)
            {
                foreach (LogSegment segment in _segments.Values)
                {
                    segment.Dispose();
                }
            }
        }
    }

    /// <summary>
    /// Writes the unproven tail once more, the same bytes, and syncs it. The last process may have died of a failed sync, after which the
    /// kernel holds as clean what never reached the disk; only what is written again is sure to be.
    /// </summary>
    private static void MakeTailDurable(LogSegment segment, uint provenEnd)
    {
        byte[] buffer = new byte[(int)Math.Clamp(segment.End - provenEnd, 1, 1 << 20)];
        for (uint at = provenEnd; at < segment.End;)
        {
            int count = (int)Math.Min(buffer.Length, segment.End - at);
            segment.File.ReadExactly(at, buffer.AsSpan(0, count));
            segment.File.Write(at, buffer.AsSpan(0, count));
            at += (uint)count;
        }

        segment.File.Sync();
    }

    private void Enter(LogSegment segment, bool isFresh)
    {
        lock (_gate)
        {
            _segments[segment.Id] = segment;
            _current = segment;
            _end = segment.End;
        }

        _durableEnd = _end;
        _markedEnd = _end;
        _incarnation = 0;
        _seed = LogFormat.Seed(segment.Header.Salt, 0);
        _capacity = segment.File.Length;
        _zeroedEnd = isFresh ? _end : (uint)_capacity;
        _newIncarnationDue = false;
    }

    /// <summary>
    /// Goes on in the last segment. What lies behind the cut must never pass for new, so that checksums start from another seed from here
    /// on; the mark that says so also proves the tail. If the tail is proven already (a clean stop), the mark can wait for the first
    /// append: restarts without writes leave no trace.
    /// </summary>
    private void Resume(LogSegment last, uint highestIncarnation, uint provenEnd)
    {
        Enter(last, isFresh: true);
        _incarnation = highestIncarnation;
        _newIncarnationDue = true;
        bool isProven = _end - provenEnd <= LogFormat.MarkBytes;
        if (!isProven && _capacity - _end >= 2 * LogFormat.MarkBytes)
        {
            try
            {
                BeginIncarnation(highestIncarnation + 1);
            }
            catch (DiskFullException)
            {
                // Reading must be possible on a full disk; the first append tries again.
                _newIncarnationDue = true;
            }
        }
    }

    private void BeginIncarnation(uint incarnation)
    {
        var mark = new LogMark(incarnation, _durableEnd);
        uint start = _end;
        AppendMark(mark);
        Sync();
        _incarnation = incarnation;
        _seed = LogFormat.Seed(_current.Header.Salt, incarnation);
        _current.BeginIncarnation(start, incarnation);
        _newIncarnationDue = false;
    }

    private void AppendMark(LogMark mark)
    {
        Span<byte> bytes = stackalloc byte[LogFormat.MarkBytes];
        LogFormat.WriteMark(bytes, _current.Header.Salt, _current.Id, mark);
        Write(bytes);
        _markedEnd = mark.DurableEnd;
        lock (_gate)
        {
            _end += LogFormat.MarkBytes;
            _current.End = _end;
        }
    }

    private void Write(ReadOnlySpan<byte> bytes)
    {
        uint end = _end + (uint)bytes.Length;
        try
        {
            _current.File.Write(_end, bytes);
            if (end > _zeroedEnd)
            {
                // Pays only for small appends that are each synced; for others zeros would only double what is written.
                bool isWorthwhile = _end == _durableEnd && bytes.Length <= _options.ZeroAheadBytes / 16;
                _zeroedEnd = isWorthwhile ? _store.ZeroAhead(_current.File, end, (uint)_capacity) : end;
            }
        }
        catch (DiskFullException)
        {
            // On a file system that cannot reserve. Part of the records may be there; they must not pass for good later.
            _newIncarnationDue = true;
            throw;
        }
        catch (Exception e)
        {
            Fail(e);
            throw;
        }
    }

    private void Roll()
    {
        // The new segment's header says that all of this one is durable.
        Sync();
        LogSegment next;
        bool isFresh;
        try
        {
            next = _store.Create(_current, _end, out isFresh);
        }
        catch (Exception e) when (e is not DiskFullException)
        {
            Fail(e);
            throw;
        }

        Enter(next, isFresh);
    }

    private void Fail(Exception e) => _failure ??= ExceptionDispatchInfo.Capture(e);

    private void ThrowIfUnusable()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_failure is { } failure)
        {
            throw new IOException(
                $"The log is finished since an earlier error; what was not acknowledged may be lost. Restart the process. The error was: "
                    + $"{failure.SourceException.Message}",
                failure.SourceException);
        }
    }

    private HengeException NoSuchPosition(LogPosition position) =>
        new(ErrorCode.InvalidArgument, $"The log has no record at {position}: it goes from {First} to {End}.");
}
