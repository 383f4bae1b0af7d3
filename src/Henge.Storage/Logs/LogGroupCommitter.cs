using Henge.Core;
using Henge.Storage.Files;

namespace Henge.Storage.Logs;

/// <summary>A record that was handed to a <see cref="LogGroupCommitter"/>; to be waited for exactly once.</summary>
public readonly struct LogTicket
{
    internal LogTicket(LogGroup group, int index)
    {
        Group = group;
        Index = index;
    }

    internal LogGroup Group { get; }

    internal int Index { get; }
}

/// <summary>
/// Lets many threads append to one log and share writes and syncs: while one group is on its way to the disk the next one gathers, and one
/// of those who wait takes it there. There is no thread and no timer of its own, and those who wait sleep. Thread-safe. Nothing else may
/// append to, sync or truncate the log, except through <see cref="WithLog"/>. Once a write or a sync has failed, every later call throws.
/// </summary>
public sealed class LogGroupCommitter : IDisposable
{
    private readonly SegmentedLog _log;
    private readonly object _gate = new();
    private readonly Stack<LogGroup> _free = new();
    private LogGroup _gathering;
    private long _writtenThrough;
    private long _syncedThrough;
    private long _recordsWritten;
    private bool _isBusy;
    private bool _disposed;
    private Exception? _failure;

    /// <summary>Takes over a log: disposing of this disposes of it.</summary>
    public LogGroupCommitter(SegmentedLog log)
    {
        _log = log;
        _gathering = new LogGroup(log.CreateBatch()) { Number = 1 };
    }

    /// <summary>Groups written so far.</summary>
    public long GroupsWritten => Volatile.Read(ref _writtenThrough);

    /// <summary>Records written so far: divided by <see cref="GroupsWritten"/> it tells how well they gather.</summary>
    public long RecordsWritten => Volatile.Read(ref _recordsWritten);

    /// <summary>
    /// Puts a record into the group that gathers, and returns at once (unless the group is full: then that is written first). Records are in
    /// the log in the order of these calls. A record is written when someone waits for it or for one of its group.
    /// </summary>
    /// <exception cref="HengeException"><see cref="ErrorCode.TooLarge"/>: over the log's limit for a record.</exception>
    /// <exception cref="IOException">The log is finished.</exception>
    public LogTicket Enqueue(byte kind, ReadOnlySpan<byte> payload)
    {
        while (true)
        {
            LogGroup full;
            lock (_gate)
            {
                ThrowIfUnusable();
                if (payload.Length > _log.MaxRecordBytes || _gathering.Batch.Fits(payload.Length))
                {
                    _gathering.Batch.Add(kind, payload);
                    _gathering.Users++;
                    return new LogTicket(_gathering, _gathering.Batch.Count - 1);
                }

                full = _gathering;
                if (full.HasLeader)
                {
                    Monitor.Wait(_gate);
                    continue;
                }

                Seal(full);
            }

            WriteOut(full);
        }
    }

    /// <summary>Returns when the record is written and, with <paramref name="sync"/>, durable.</summary>
    /// <returns>Where the record is.</returns>
    /// <exception cref="DiskFullException">There was no room: the record is not in the log. Later ones may be accepted.</exception>
    /// <exception cref="IOException">The log is finished; whether the record is in it is not known.</exception>
    public LogPosition Wait(LogTicket ticket, bool sync)
    {
        LogGroup group = ticket.Group;
        bool leads = false;
        lock (_gate)
        {
            // After the group is sealed this is too late, and the wait below syncs once more.
            group.WantsSync |= sync;
            if (!group.HasLeader)
            {
                Seal(group);
                leads = true;
            }
        }

        if (leads)
        {
            WriteOut(group);
        }
        else
        {
            group.WaitUntilCompleted();
        }

        try
        {
            if (group.Error is { } error)
            {
                throw Rethrown(error);
            }

            if (sync)
            {
                SyncThrough(group.Number);
            }

            return group.Batch.PositionOf(ticket.Index);
        }
        finally
        {
            Leave(group);
        }
    }

    /// <summary>Appends one record and waits for it.</summary>
    public LogPosition Append(byte kind, ReadOnlySpan<byte> payload, bool sync) => Wait(Enqueue(kind, payload), sync);

    /// <summary>Runs something on the log, between two groups: a truncation, the start of a segment, a sync. Others wait meanwhile.</summary>
    public void WithLog(Action<SegmentedLog> action)
    {
        lock (_gate)
        {
            while (_isBusy)
            {
                Monitor.Wait(_gate);
            }

            ThrowIfUnusable();
            try
            {
                action(_log);
            }
            catch (IOException e) when (e is not DiskFullException)
            {
                _failure ??= e;
                throw;
            }
        }
    }

    /// <summary>Waits for the group under way and closes the log. Who still waits for a later one gets an error.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            while (_isBusy)
            {
                Monitor.Wait(_gate);
            }

            if (!_disposed)
            {
                _disposed = true;
                _log.Dispose();
                Monitor.PulseAll(_gate);
            }
        }
    }

    /// <summary>Closes a group, once the disk is free, and opens the next. The caller must write it out.</summary>
    private void Seal(LogGroup group)
    {
        group.HasLeader = true;
        while (_isBusy)
        {
            Monitor.Wait(_gate);
        }

        _isBusy = true;
        if (!_free.TryPop(out LogGroup? next))
        {
            next = new LogGroup(_log.CreateBatch());
        }

        next.Number = group.Number + 1;
        _gathering = next;
        group.SyncsWithWrite = group.WantsSync;
    }

    private void WriteOut(LogGroup group)
    {
        Exception? error = null;
        bool synced = false;
        try
        {
            _log.Append(group.Batch);
            if (group.SyncsWithWrite)
            {
                _log.Sync();
                synced = true;
            }
        }
        catch (Exception e)
        {
            error = e;
        }

        lock (_gate)
        {
            _isBusy = false;
            Volatile.Write(ref _writtenThrough, group.Number);
            Volatile.Write(ref _recordsWritten, _recordsWritten + group.Batch.Count);
            if (synced)
            {
                _syncedThrough = group.Number;
            }

            if (error is not (null or DiskFullException))
            {
                _failure ??= error;
            }

            Monitor.PulseAll(_gate);
        }

        group.Complete(error);
    }

    private void SyncThrough(long group)
    {
        lock (_gate)
        {
            while (_syncedThrough < group)
            {
                if (_isBusy)
                {
                    Monitor.Wait(_gate);
                    continue;
                }

                // Rare (the wait came after the group had left): so the lock may be held over the sync.
                ThrowIfUnusable();
                try
                {
                    _log.Sync();
                }
                catch (Exception e)
                {
                    _failure ??= e;
                    throw;
                }

                _syncedThrough = _writtenThrough;
            }
        }
    }

    private void Leave(LogGroup group)
    {
        lock (_gate)
        {
            if (--group.Users == 0 && _free.Count < 2)
            {
                group.Reset();
                _free.Push(group);
            }
        }
    }

    private void ThrowIfUnusable()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_failure is not null)
        {
            throw Rethrown(_failure);
        }
    }

    // Several threads get the same error: each its own exception, for the sake of the stack traces.
    private static Exception Rethrown(Exception error) => error switch
    {
        DiskFullException => new DiskFullException(error.Message, error),
        ObjectDisposedException => new ObjectDisposedException("The log was closed before the record was written.", error),
        _ => new IOException("The log is finished since a write or a sync failed: " + error.Message, error),
    };
}

/// <summary>Records that go to the log together. Its fields belong to the committer's lock until it is completed.</summary>
internal sealed class LogGroup(LogBatch batch)
{
    private readonly object _completion = new();
    private bool _completed;

    internal LogBatch Batch => batch;

    /// <summary>Groups are written in this order.</summary>
    internal long Number { get; set; }

    /// <summary>Tickets that have not been waited for yet.</summary>
    internal int Users { get; set; }

    /// <summary>Somebody has undertaken to write it out.</summary>
    internal bool HasLeader { get; set; }

    internal bool WantsSync { get; set; }

    internal bool SyncsWithWrite { get; set; }

    internal Exception? Error { get; private set; }

    internal void Complete(Exception? error)
    {
        lock (_completion)
        {
            Error = error;
            _completed = true;
            Monitor.PulseAll(_completion);
        }
    }

    internal void WaitUntilCompleted()
    {
        lock (_completion)
        {
            while (!_completed)
            {
                Monitor.Wait(_completion);
            }
        }
    }

    internal void Reset()
    {
        batch.Clear();
        _completed = false;
        Error = null;
        HasLeader = false;
        WantsSync = false;
        SyncsWithWrite = false;
    }
}
