using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Henge.Core;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Files;
using Henge.Storage.Logs;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.MemTables;
using Henge.Storage.Lsm.Writing;

namespace Henge.Storage.Bitcask.State;

/// <summary>
/// The one writer: puts groups of batches into the segment that is written to, one record for each batch, and then into the index. Many
/// callers share one write and one sync. Thread-safe.
/// </summary>
internal sealed partial class BatchWriter : GroupCommit
{
    private const int GroupsBetweenMeasures = 64;
    private readonly BitcaskState _state;
    private readonly Dictionary<uint, KeyspaceIndex> _indexes;
    private readonly LogBatch _log = new(int.MaxValue, LogFormat.MaxSegmentBytes);
    private readonly Lock _positionsLock = new();
    private readonly Dictionary<uint, ulong> _positions;
    private Dictionary<uint, ulong> _durablePositions;
    private long _positionChanges;
    private long _durableChanges;
    private bool _isClosed;
    private volatile bool _isHolding;
    private Segment _active;
    private uint _end = LogFormat.SegmentHeaderBytes;
    private uint _durableEnd = LogFormat.SegmentHeaderBytes;
    private uint _markedEnd = LogFormat.SegmentHeaderBytes;
    private byte[] _filtered = [];
    private long _bytesIn;
    private long _written;
    private long _appended;
    private long _indexBytes;
    private int _groups;

    /// <param name="state">The engine's state.</param>
    /// <param name="active">An empty segment that the manifest lists as open.</param>
    /// <param name="indexes">What segments hold; the writer takes them over.</param>
    /// <param name="positions">The positions that are durable.</param>
    public BatchWriter(
        BitcaskState state,
        Segment active,
        Dictionary<uint, KeyspaceIndex> indexes,
        Dictionary<uint, ulong> positions)
        : base("BitcaskEngine")
    {
        _state = state;
        _active = active;
        _indexes = indexes;
        _positions = positions;
        _durablePositions = new Dictionary<uint, ulong>(positions);
        MeasureIndexes();
    }

    /// <summary>Held while anything is written, sealed, dropped, or while an index is replaced.</summary>
    public object Gate { get; } = new();

    /// <summary>Called when so much is not synced yet that a background sync is due.</summary>
    public Action SyncDue { get; set; } = static () => { };

    /// <summary>Called when there may be something for the background to merge or rebuild.</summary>
    public Action MergeDue { get; set; } = static () => { };

    /// <summary>Bytes of batches that were applied.</summary>
    public long BytesIn => Interlocked.Read(ref _bytesIn);

    /// <summary>Entries that were applied.</summary>
    public long EntriesWritten => Interlocked.Read(ref _written);

    /// <summary>Bytes that were written to segments.</summary>
    public long BytesAppended => Interlocked.Read(ref _appended);

    /// <summary>Bytes of memory that the indexes take, as of some writes ago.</summary>
    public long IndexBytes => Interlocked.Read(ref _indexBytes);

    /// <summary>The largest batch, in bytes.</summary>
    public static int MaxBatchBytes => LogFormat.MaxSegmentBytes - LogFormat.SegmentHeaderBytes - (4 * LogFormat.MarkBytes);

    protected override long MaxGroupBytes => Math.Min(_state.Options.SegmentBytes, LogFormat.MaxSegmentBytes / 2);

    public ulong GetPosition(uint stream)
    {
        lock (_positionsLock)
        {
            return _positions.GetValueOrDefault(stream);
        }
    }

    public ulong GetDurablePosition(uint stream)
    {
        lock (_positionsLock)
        {
            return _durablePositions.GetValueOrDefault(stream);
        }
    }

    /// <summary>True when an entry at an address would survive a crash.</summary>
    public bool IsDurable(EntryAddress address)
    {
        Segment? segment = _state.FindSegment(address.Segment);
        if (segment is null || segment.IsSealed)
        {
            return true;
        }

        lock (_positionsLock)
        {
            return segment == _active && address.Offset < _durableEnd;
        }
    }

    /// <summary>The index of a keyspace; null when nothing is in it. The caller holds the gate.</summary>
    public KeyspaceIndex? FindIndex(uint keyspace) => _indexes.GetValueOrDefault(keyspace);

    /// <summary>All indexes, with their keyspaces. The caller holds the gate.</summary>
    public IEnumerable<KeyValuePair<uint, KeyspaceIndex>> Indexes => _indexes;

    /// <summary>Puts an index in place of a keyspace's, or takes it away. The caller holds the gate and the index lock.</summary>
    public void Replace(uint keyspace, KeyspaceIndex? index)
    {
        KeyspaceIndex? old = FindIndex(keyspace);
        if (index is null)
        {
            _indexes.Remove(keyspace);
        }
        else
        {
            _indexes[keyspace] = index;
        }

        _state.PublishTable(keyspace, index?.Table);
        old?.Table.Release();
        MeasureIndexes();
    }

    protected override void Write(List<Ticket> group)
    {
        lock (Gate)
        {
            ThrowIfUnusable();
            try
            {
                WriteLocked(group);
            }
            catch (DiskFullException error)
            {
                throw new HengeException(
                    ErrorCode.DiskFull,
                    $"The disk under {_state.Directory} is full, so the batch was not written. Make room and try again.",
                    error);
            }
        }
    }

    private void WriteLocked(List<Ticket> group)
    {
        bool sync = false;
        _log.Clear();
        foreach (Ticket ticket in group)
        {
            sync |= ticket.Sync;
            ReadOnlySpan<byte> batch = WithoutRepeats(ticket.Batch!.Encoded, out int entries);
            if (!batch.IsEmpty)
            {
                StoredEntry.Encode(batch, _log.Add(SegmentScan.EntriesKind, batch.Length + (entries * StoredEntry.ChecksumBytes)));
            }
        }

        if (_log.Count > 0)
        {
            WriteRecords(sync);
        }
        else if (sync)
        {
            SyncLocked();
            MakePositionsDurable();
        }

        foreach (Ticket ticket in group)
        {
            Interlocked.Add(ref _bytesIn, ticket.Batch!.ByteCount);
        }

        if (++_groups % GroupsBetweenMeasures == 0)
        {
            MeasureIndexes();
        }
    }

    private void WriteRecords(bool sync)
    {
        bool isFull = _end + (long)_log.ByteCount + LogFormat.MarkBytes > _state.Options.SegmentBytes;
        if (isFull && _end > LogFormat.SegmentHeaderBytes)
        {
            RollIfRoom();
        }

        LogMark? mark = _durableEnd > _markedEnd ? new LogMark(0, _durableEnd) : null;
        ReadOnlySpan<byte> bytes = _log.Seal(_active.Header, LogFormat.Seed(_active.Header.Salt, 0), mark);
        Append(bytes);
        if (mark is not null)
        {
            _markedEnd = _durableEnd;
            bytes = bytes[LogFormat.MarkBytes..];
        }

        if (sync)
        {
            SyncLocked();
        }

        Apply(bytes);
        if (sync)
        {
            MakePositionsDurable();
        }

        if (_end - _durableEnd >= _state.Options.SyncAheadBytes)
        {
            SyncDue();
        }
    }

    // Under an owner's log a full disk must not refuse what is committed: the segment grows beyond its size for as long.
    private void RollIfRoom()
    {
        try
        {
            Roll(drop: null);
        }
        catch (DiskFullException) when (_state.Options.OwnerHasLog && _end + (long)_log.ByteCount < MaxBatchBytes)
        {
            // The next batch tries again.
        }
    }

    private void MeasureIndexes()
    {
        long bytes = 0;
        foreach ((_, KeyspaceIndex index) in _indexes)
        {
            bytes += index.Table.ApproximateBytes;
        }

        Interlocked.Exchange(ref _indexBytes, bytes);
    }

    /// <summary>
    /// What of a batch is not there yet. An owner that replays its log may bring entries again that survived; twice in segments, but once
    /// in the index, the second would come back when the first is merged away.
    /// </summary>
    private unsafe ReadOnlySpan<byte> WithoutRepeats(ReadOnlySpan<byte> batch, out int entries)
    {
        entries = 0;
        int from = 0;
        int kept = -1;
        var reader = new WriteBatchReader(batch);
        byte* buffer = stackalloc byte[640];
        while (reader.MoveNext())
        {
            int end = batch.Length - reader.RemainingBytes;
            bool repeated = !reader.IsPosition && IsThere(reader, new Span<byte>(buffer, 640));
            if (repeated && kept < 0)
            {
                // Rare, so the copy is made only now.
                _filtered = _filtered.Length >= batch.Length ? _filtered : new byte[batch.Length];
                batch[..from].CopyTo(_filtered);
                kept = from;
            }

            entries += repeated || reader.IsPosition ? 0 : 1;
            if (kept >= 0 && !repeated)
            {
                batch[from..end].CopyTo(_filtered.AsSpan(kept));
                kept += end - from;
            }

            from = end;
        }

        return kept < 0 ? batch : _filtered.AsSpan(0, kept);
    }

    private unsafe bool IsThere(in WriteBatchReader entry, Span<byte> stack)
    {
        if (FindIndex(entry.Keyspace) is not { } index)
        {
            return false;
        }

        int size = LookupKey.BufferBytes(entry.Key.Length);
        byte[]? rented = size <= stack.Length ? null : System.Buffers.ArrayPool<byte>.Shared.Rent(size);
        fixed (byte* buffer = rented is null ? stack : rented)
        {
            bool found = index.Table.Find(new LookupKey(buffer, entry.Keyspace, entry.Key, entry.Version), entry.Kind) != null;
            if (rented is not null)
            {
                System.Buffers.ArrayPool<byte>.Shared.Return(rented);
            }

            return found;
        }
    }

    // The records have been written, and with sync are durable: from here on nothing can fail.
    private void Apply(ReadOnlySpan<byte> records)
    {
        uint offset = _end - (uint)records.Length;
        while (!records.IsEmpty)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(records);
            ApplyRecord(records.Slice(LogFormat.RecordHeaderBytes, length), offset + LogFormat.RecordHeaderBytes);
            records = records[(LogFormat.RecordHeaderBytes + length)..];
            offset += (uint)(LogFormat.RecordHeaderBytes + length);
        }
    }

    [SkipLocalsInit]
    private unsafe void ApplyRecord(ReadOnlySpan<byte> payload, uint offset)
    {
        var raises = new BatchRaises();
        Unsafe.SkipInit(out MemTableGroup group);
        group.Nodes.Count = 0;
        KeyspaceIndex? index = null;
        uint keyspace = 0;
        while (!payload.IsEmpty)
        {
            Invariant.Check(StoredEntry.TryRead(payload, out StoredEntry entry), "what was encoded can be decoded");
            if (entry.IsPosition)
            {
                lock (_positionsLock)
                {
                    _positions[entry.Keyspace] = entry.Position;
                    _positionChanges++;
                }
            }
            else
            {
                if (index is null || entry.Keyspace != keyspace)
                {
                    index?.Table.AddGroup(&group);
                    keyspace = entry.Keyspace;
                    index = FindIndex(keyspace) ?? Begin(keyspace);
                }

                raises.See(_state.Clocks, keyspace, entry.Version);
                Add(index, entry, offset, ref group);
                if (group.IsFull)
                {
                    index.Table.AddGroup(&group);
                }
            }

            payload = payload[entry.Length..];
            offset += (uint)entry.Length;
        }

        index?.Table.AddGroup(&group);
        raises.Raise(_state.Clocks, buffer: null);
        if (index is { IsRebuildDue: true, Copy: null })
        {
            MergeDue();
        }
    }

    private void Add(KeyspaceIndex index, in StoredEntry entry, uint offset, ref MemTableGroup group)
    {
        Span<byte> locator = stackalloc byte[Locator.MaxBytes];
        int length = Locator.Write(
            locator,
            entry.Key.Length + InternalKey.KeyspaceBytes,
            entry.Kind,
            entry.Length,
            new EntryAddress(_active.Id, offset));
        index.Table.Add(ref group, entry.Kind, entry.Keyspace, entry.Key, entry.Version, locator[..length], entry.Header);
        index.Copy?.Add(entry.Kind, entry.Keyspace, entry.Key, entry.Version, locator[..length], entry.Header);
        _active.Count(entry.Keyspace, entry.Length);
        Interlocked.Increment(ref _written);
    }

    private KeyspaceIndex Begin(uint keyspace)
    {
        var index = new KeyspaceIndex(new MemTable(KeyspaceIndex.SmallestBytes), KeyspaceIndex.SmallestBytes);
        lock (_state.IndexLock)
        {
            Replace(keyspace, index);
        }

        return index;
    }
}
