using Henge.Core;

namespace Henge.Storage.Lsm.Writing;

/// <summary>
/// Group commit: the first writer leads, takes along all that wait, writes them with one call and syncs once; what comes meanwhile is the
/// next group. How a group is written is said by who derives from it. Thread-safe.
/// </summary>
/// <param name="engineName">The engine's type, for the error of one that was closed.</param>
internal abstract class GroupCommit(string engineName)
{
    private const int MaxGroup = 256;

    [ThreadStatic]
    private static Ticket? _ticket;

    private readonly object _lock = new();
    private readonly List<Ticket> _waiting = [];
    private readonly List<Ticket> _group = [];
    private bool _hasLeader;

    /// <summary>How many batches wait or are being written: what tests wait for.</summary>
    public int UnderWay
    {
        get
        {
            lock (_lock)
            {
                return _waiting.Count + _group.Count;
            }
        }
    }

    /// <summary>Returns when the batch is applied, and with <paramref name="sync"/> durable.</summary>
    public Core.Version Commit(WriteBatch batch, bool sync, bool stamp)
    {
        Ticket ticket = _ticket ??= new Ticket();
        ticket.Begin(batch, sync, stamp);
        lock (_lock)
        {
            _waiting.Add(ticket);
            if (_hasLeader)
            {
                while (ticket.State == TicketState.Waiting)
                {
                    ticket.Sleep(_lock);
                }
            }
            else
            {
                _hasLeader = true;
                ticket.State = TicketState.Leading;
            }

            if (ticket.State == TicketState.Leading)
            {
                TakeGroup();
            }
        }

        if (ticket.State == TicketState.Leading)
        {
            Lead();
        }

        return ticket.End(engineName);
    }

    /// <summary>The most bytes of batches that one group takes, framing included; one batch alone may have more.</summary>
    protected abstract long MaxGroupBytes { get; }

    /// <summary>Writes and applies a group; called by one thread at a time. An error is that of every batch in it.</summary>
    protected abstract void Write(List<Ticket> group);

    private void TakeGroup()
    {
        long bytes = 0;
        int count = 0;
        while (count < _waiting.Count && count < MaxGroup)
        {
            bytes += _waiting[count].Batch!.ByteCount + 64;
            if (count > 0 && bytes > MaxGroupBytes)
            {
                break;
            }

            _group.Add(_waiting[count]);
            count++;
        }

        _waiting.RemoveRange(0, count);
    }

    private void Lead()
    {
        Exception? error = null;
        try
        {
            Write(_group);
        }
        catch (Exception e)
        {
            error = e;
        }

        lock (_lock)
        {
            foreach (Ticket ticket in _group)
            {
                ticket.Finish(error);
            }

            _group.Clear();
            _hasLeader = _waiting.Count > 0;
            if (_hasLeader)
            {
                _waiting[0].Lead();
            }
        }
    }

    internal enum TicketState
    {
        Waiting,
        Leading,
        Done,
    }

    internal sealed class Ticket
    {
        private readonly object _wake = new();
        private bool _isSignalled;
        private Exception? _error;

        public WriteBatch? Batch { get; private set; }

        public bool Sync { get; private set; }

        public bool Stamp { get; private set; }

        public Core.Version Version { get; set; }

        public TicketState State { get; set; }

        public void Begin(WriteBatch batch, bool sync, bool stamp)
        {
            Batch = batch;
            Sync = sync;
            Stamp = stamp;
            Version = default;
            State = TicketState.Waiting;
            _error = null;
            _isSignalled = false;
        }

        // Called with the queue's lock held, which is given up meanwhile: each waiter sleeps on its own object, so that only who is
        // done, or leads next, wakes up.
        public void Sleep(object queueLock)
        {
            Monitor.Exit(queueLock);
            try
            {
                lock (_wake)
                {
                    while (!_isSignalled)
                    {
                        Monitor.Wait(_wake);
                    }

                    _isSignalled = false;
                }
            }
            finally
            {
                Monitor.Enter(queueLock);
            }
        }

        public void Finish(Exception? error)
        {
            _error = error;
            State = TicketState.Done;
            Wake();
        }

        public void Lead()
        {
            State = TicketState.Leading;
            Wake();
        }

        public Core.Version End(string engineName)
        {
            Batch = null;
            return _error switch
            {
                null => Version,
                HengeException e => throw new HengeException(e.Code, e.Message, e),
                ObjectDisposedException => throw new ObjectDisposedException(engineName),
                _ => throw new IOException(_error.Message, _error),
            };
        }

        private void Wake()
        {
            lock (_wake)
            {
                _isSignalled = true;
                Monitor.Pulse(_wake);
            }
        }
    }
}
