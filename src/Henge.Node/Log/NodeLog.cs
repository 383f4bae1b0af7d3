using System.Buffers;
using Henge.Core;
using Henge.Node.Context;
using Henge.Raft;
using Henge.Storage;
using Henge.Storage.Files;
using Henge.Storage.Logs;

namespace Henge.Node.Log;

/// <summary>
/// The node's one log. Workers submit batches from their threads; <see cref="Run"/>, on the log writer's lane, writes all that waits, syncs
/// once, and hands the batches back. A failed write or sync ends the node; a full disk does not: what waits is tried again, and nothing of
/// it is acknowledged meanwhile.
/// </summary>
internal sealed class NodeLog : IWorkItem, IEntryReader, IDisposable
{
    private readonly NodeContext _node;
    private readonly SegmentedLog _log;
    private readonly LogBatch _filling;
    private readonly List<(NodeLogBatch Batch, int Record)> _filled = [];
    private readonly List<NodeLogBatch> _queue = [];
    private readonly Queue<(ILogBatchOwner Owner, long Number, uint Segment)> _handedBack = new();
    private readonly NodeLogSpace _space;
    private NodeLogBatch? _head;
    private int _queueBatch;
    private int _queueRecord;
    private int _scheduled;
    private bool _stalled;
    private int _checkSpace;
    private long _syncs;
    private long _sizeBytes;
    private volatile Action? _stopped;

    private NodeLog(NodeContext node, SegmentedLog log, NodeLogSpace space)
    {
        _node = node;
        _log = log;
        _space = space;
        _filling = log.CreateBatch();
        _sizeBytes = log.SizeBytes;
    }

    /// <summary>Syncs since it was opened.</summary>
    public long Syncs => Interlocked.Read(ref _syncs);

    /// <summary>Bytes of records. Thread-safe.</summary>
    public long SizeBytes => Interlocked.Read(ref _sizeBytes);

    /// <summary>Segments in use. Thread-safe.</summary>
    public int Segments => (int)(_log.End.SegmentId - _log.First.SegmentId) + 1;

    /// <summary>The oldest segment. Thread-safe.</summary>
    public long FirstSegment => _log.First.SegmentId;

    /// <summary>The largest data that an entry can have.</summary>
    public int MaxEntryBytes => Math.Min(_log.MaxRecordBytes, _log.MaxBatchBytes) - NodeLogRecord.EntryHeaderBytes - 64;

    /// <summary>
    /// Opens the log in a directory and rebuilds the index of each shard. Throws <see cref="HengeException"/> (Corruption) for damage that
    /// no crash explains, and for entries of unknown shards.
    /// </summary>
    public static NodeLog Open(
        NodeContext node,
        string directory,
        SegmentedLogOptions options,
        IReadOnlyCollection<ShardId> shards,
        out Dictionary<ShardId, ShardLogReplay> found)
    {
        var replay = new Dictionary<ShardId, ShardLogReplay>();
        var reader = new DeferredReader();
        foreach (ShardId shard in shards)
        {
            replay.Add(shard, new ShardLogReplay(new ShardLog(shard, reader)));
        }

        var space = new NodeLogSpace(node);
        byte[] copy = [];
        SegmentedLog log = SegmentedLog.Open(node.Environment.FileSystem, directory, options, (position, kind, payload) =>
        {
            if (copy.Length < payload.Length)
            {
                copy = new byte[Math.Max(payload.Length, 2 * copy.Length)];
            }

            payload.CopyTo(copy);
            if (!NodeLogRecord.TryRead(kind, copy.AsMemory(0, payload.Length), out NodeLogRecord record, out string? error))
            {
                throw new HengeException(ErrorCode.UnsupportedFormat, $"In the log '{directory}' at {position}, {error}. Use the build "
                    + $"that wrote it, or a newer one.");
            }

            if (!replay.TryGetValue(record.Shard, out ShardLogReplay? shard))
            {
                throw new HengeException(ErrorCode.Corruption, $"In the log '{directory}' at {position} stands a record of {record.Shard}, "
                    + $"which this node does not have.");
            }

            shard.Take(record, new EntryLocation(record.Entry.Term, position, payload.Length));
            space.Note(record, position);
        });
        foreach ((ShardId shard, ShardLogReplay rebuilt) in replay)
        {
            if (rebuilt.Check() is { } problem)
            {
                log.Dispose();
                throw new HengeException(
                    ErrorCode.Corruption,
                    $"The log '{directory}' does not hold together for {shard}: {problem}. Nothing was changed. Restore the directory from "
                        + $"a copy. {DirectoryAdvice.Node}");
            }

            space.Track(rebuilt.Log, shard);
        }

        if (log.Recovery.CutTail is { } cut)
        {
            node.Events?.TornLogTailCut(cut);
        }

        var opened = new NodeLog(node, log, space);
        reader.Reader = opened;
        found = replay;
        return opened;
    }

    /// <summary>Takes a batch over. Thread-safe; the owner gets it back as a message when it is durable.</summary>
    public void Submit(NodeLogBatch batch)
    {
        NodeLogBatch? head = Volatile.Read(ref _head);
        while (true)
        {
            batch.NextToWrite = head;
            NodeLogBatch? seen = Interlocked.CompareExchange(ref _head, batch, head);
            if (ReferenceEquals(seen, head))
            {
                break;
            }

            head = seen;
        }

        Wake();
    }

    /// <summary>Looks at the space soon: of the disk, and of the log. Tries again what found no room. Thread-safe.</summary>
    public void CheckSpace()
    {
        Volatile.Write(ref _checkSpace, 1);
        Wake();
    }

    /// <summary>Has <paramref name="stopped"/> called from the writer's lane once everything submitted before is written.</summary>
    public void Stop(Action stopped)
    {
        _stopped = stopped;
        Wake();
    }

    /// <inheritdoc/>
    public void Run()
    {
        if (!_node.IsDead)
        {
            try
            {
                RunOnce();
            }
            catch (Exception e)
            {
                _node.Fatal(
                    $"The node log in '{_node.Options.DataDirectory}' could not be written or synced, so that it is not known what is on "
                        + $"the disk: {e.Message}",
                    e);
            }
        }

        Interlocked.Exchange(ref _scheduled, 0);
        if (!_node.IsDead && (Volatile.Read(ref _head) is not null || Volatile.Read(ref _checkSpace) != 0))
        {
            Wake();
        }
        else if (Interlocked.Exchange(ref _stopped, null) is { } stopped)
        {
            stopped();
        }
    }

    /// <inheritdoc/>
    public Entry ReadEntry(ShardId shard, LogIndex index, in EntryLocation location)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(location.PayloadBytes + 64);
        byte[] rented = buffer;
        byte[] payload = _log.Read(location.Position, ref buffer, out byte kind).ToArray();
        ArrayPool<byte>.Shared.Return(rented);
        if (!NodeLogRecord.TryRead(kind, payload, out NodeLogRecord record, out string? error))
        {
            throw new HengeException(ErrorCode.Corruption, $"In the node log at {location.Position}, {error}.");
        }

        return record.Shard == shard && record.Entry.Index == index && record.Entry.Term == location.Term
            ? record.Entry
            : throw new HengeException(
                ErrorCode.Corruption,
                $"In the node log at {location.Position} should stand the entry {location.Term}/{index} of {shard}; another one does.");
    }

    /// <inheritdoc/>
    public void Dispose() => _log.Dispose();

    private void RunOnce()
    {
        bool check = Interlocked.Exchange(ref _checkSpace, 0) != 0;
        TakeSubmitted();
        if (_queue.Count > 0 && (!_stalled || check))
        {
            WriteQueue();
        }

        if (check && !_stalled)
        {
            // What the workers have not been told of yet is not in their indexes.
            long keepFrom = _handedBack.TryPeek(out (ILogBatchOwner Owner, long Number, uint Segment) oldest)
                ? oldest.Segment
                : long.MaxValue;
            _space.Free(_log, _filling, keepFrom, ref _syncs);
        }

        if (check)
        {
            _space.CheckDisk();
            Interlocked.Exchange(ref _sizeBytes, _log.SizeBytes);
        }
    }

    private void TakeSubmitted()
    {
        NodeLogBatch? node = Interlocked.Exchange(ref _head, null);
        int from = _queue.Count;
        for (; node is not null; node = node.NextToWrite)
        {
            _queue.Add(node);
        }

        _queue.Reverse(from, _queue.Count - from);
    }

    private void WriteQueue()
    {
        try
        {
            AppendQueue();
        }
        catch (DiskFullException e)
        {
            if (!_stalled)
            {
                _node.Events?.LogWritesDelayed(e.Message);
            }

            _stalled = true;
            _node.IsDiskFull = true;
            return;
        }

        _stalled = false;
        _log.Sync();
        Interlocked.Increment(ref _syncs);
        Interlocked.Exchange(ref _sizeBytes, _log.SizeBytes);
        foreach (NodeLogBatch batch in _queue)
        {
            batch.NextToWrite = null;
            if (batch.Locations.Count > 0)
            {
                _handedBack.Enqueue((batch.Owner, batch.Number, batch.Locations[0].Position.SegmentId));
            }

            batch.Owner.OnWritten();
        }

        while (
            _handedBack.TryPeek(out (ILogBatchOwner Owner, long Number, uint Segment) oldest) && oldest.Owner.BatchesDone >= oldest.Number)
        {
            _handedBack.Dequeue();
        }

        _queue.Clear();
        _queueBatch = 0;
        _queueRecord = 0;
    }

    // Can be called again after a full disk: it goes on where it was.
    private void AppendQueue()
    {
        for (; _queueBatch < _queue.Count; _queueBatch++, _queueRecord = 0)
        {
            NodeLogBatch batch = _queue[_queueBatch];
            for (; _queueRecord < batch.Records.Count; _queueRecord++)
            {
                NodeLogRecord record = batch.Records[_queueRecord];
                ReadOnlySpan<byte> data = record.Entry.Data.Span;
                int header = record.HeaderBytes;
                if (!_filling.Fits(header + data.Length))
                {
                    AppendFilled();
                }

                Span<byte> payload = _filling.Add((byte)record.Kind, header + data.Length);
                record.WriteHeader(payload);
                data.CopyTo(payload[header..]);
                batch.Locations.Add(new EntryLocation(record.Entry.Term, default, payload.Length));
                _filled.Add((batch, _queueRecord));
            }
        }

        AppendFilled();
    }

    private void AppendFilled()
    {
        if (_filling.Count == 0)
        {
            return;
        }

        _log.Append(_filling);
        for (int i = 0; i < _filled.Count; i++)
        {
            (NodeLogBatch batch, int record) = _filled[i];
            LogPosition position = _filling.PositionOf(i);
            batch.Locations[record] = batch.Locations[record] with { Position = position };
            _space.Note(batch.Records[record], position);
        }

        _filled.Clear();
        _filling.Clear();
    }

    private void Wake()
    {
        if (Interlocked.Exchange(ref _scheduled, 1) == 0)
        {
            _node.Environment.LogWriter.Schedule(0, this);
        }
    }

    private sealed class DeferredReader : IEntryReader
    {
        public IEntryReader? Reader { get; set; }

        public Entry ReadEntry(ShardId shard, LogIndex index, in EntryLocation location) => Reader!.ReadEntry(shard, index, location);
    }
}
