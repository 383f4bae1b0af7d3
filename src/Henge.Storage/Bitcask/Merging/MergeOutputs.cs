using Henge.Core;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Bitcask.State;
using Henge.Storage.Files;
using Henge.Storage.Logs;
using Henge.Storage.Lsm.Compactions;

namespace Henge.Storage.Bitcask.Merging;

/// <summary>
/// The segments that a merge writes. Until <see cref="Keep"/> they are nobody's, and go when this is disposed of. Memory: one record, of
/// 64 KiB or one entry. Not thread-safe.
/// </summary>
internal sealed class MergeOutputs : IDisposable
{
    private const int RecordBytes = 64 << 10;
    private readonly BitcaskState _state;
    private readonly ulong _epoch;
    private readonly RateLimiter? _limiter;
    private readonly LogBatch _log = new(int.MaxValue, LogFormat.MaxSegmentBytes);
    private readonly List<Segment> _segments = [];
    private byte[] _record = new byte[RecordBytes];
    private int _length;
    private Segment? _current;
    private bool _kept;

    public MergeOutputs(BitcaskState state, ulong epoch)
    {
        _state = state;
        _epoch = epoch;
        long rate = state.Options.MergeBytesPerSecond;
        _limiter = rate == 0 ? null : new RateLimiter(rate, state.Options.Time, state.Scheduler);
    }

    public IReadOnlyList<Segment> Segments => _segments;

    public long BytesWritten { get; private set; }

    /// <summary>Room for an entry of so many bytes, which the caller fills, or gives back by <see cref="TakeBack"/>.</summary>
    public Span<byte> Add(int bytes)
    {
        if (_length > 0 && _length + bytes > RecordBytes)
        {
            WriteRecord();
        }

        if (bytes > _record.Length)
        {
            _record = new byte[bytes];
        }

        Span<byte> room = _record.AsSpan(_length, bytes);
        _length += bytes;
        return room;
    }

    /// <summary>The entry that was to be added last is not.</summary>
    public void TakeBack(int bytes) => _length -= bytes;

    /// <summary>Makes all of it durable, with a hint for each segment: each byte is read back, and checked, for that.</summary>
    public IEnumerable<Segment> Finish()
    {
        WriteRecord();
        Seal();
        foreach (Segment segment in _segments)
        {
            HintFile.Write(_state.Store, segment);
            yield return segment;
        }
    }

    /// <summary>The manifest lists them.</summary>
    public void Keep() => _kept = true;

    public void Dispose()
    {
        if (_kept)
        {
            return;
        }

        foreach (Segment segment in _segments)
        {
            _state.Discard(segment);
        }
    }

    private void WriteRecord()
    {
        if (_length == 0)
        {
            return;
        }

        if (_current is { } full && full.End + (long)_length + LogFormat.RecordHeaderBytes > _state.Options.SegmentBytes
            && full.End > LogFormat.SegmentHeaderBytes)
        {
            Seal();
        }

        Segment segment = _current ??= Begin();
        _log.Clear();
        _log.Add(SegmentScan.EntriesKind, _record.AsSpan(0, _length));
        ReadOnlySpan<byte> bytes = _log.Seal(segment.Header, LogFormat.Seed(segment.Header.Salt, 0), mark: null);
        try
        {
            segment.File.Write(segment.End, bytes);
        }
        catch (DiskFullException)
        {
            throw;
        }
        catch (IOException error)
        {
            _state.Fail(new IOException($"A merged segment could not be written: {error.Message}", error));
            throw;
        }

        segment.End += (uint)bytes.Length;
        Count(segment);
        BytesWritten += bytes.Length;
        _limiter?.Take(bytes.Length);
        _length = 0;
        if (_record.Length > RecordBytes * 4)
        {
            _record = new byte[RecordBytes];
        }
    }

    private void Count(Segment segment)
    {
        ReadOnlySpan<byte> entries = _record.AsSpan(0, _length);
        while (!entries.IsEmpty)
        {
            Invariant.Check(StoredEntry.TryRead(entries, out StoredEntry entry), "what was checked can be decoded");
            segment.Count(entry.Keyspace, entry.Length);
            entries = entries[entry.Length..];
        }
    }

    private Segment Begin()
    {
        Segment segment = _state.Store.Create();
        segment.Epoch = _epoch;
        _segments.Add(segment);
        _state.AddSegment(segment);
        return segment;
    }

    private void Seal()
    {
        if (_current is not { } segment)
        {
            return;
        }

        try
        {
            segment.File.Sync();
        }
        catch (IOException error)
        {
            _state.Fail(new IOException($"A merged segment could not be synced: {error.Message}", error));
            throw new IOException(error.Message, error);
        }

        segment.IsSealed = true;
        _current = null;
    }
}
