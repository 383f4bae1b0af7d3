using Henge.Core;

namespace Henge.Raft;

/// <summary>
/// What has been handed out to be persisted and what of it is durable, and the messages that must not leave before that.
/// </summary>
/// <remarks>
/// Each Ready with something to persist has a ticket; tickets rise and become durable in order. A message that speaks of state is held
/// under the last ticket that covers that state. A ticket remembers up to which index its entries reach; when entries are replaced before
/// their ticket is done, the ticket's reach is cut back, so that a late completion never counts for an entry of the same index, or even of
/// the same index and term, that was written again later (the A-B-A trap).
/// </remarks>
internal sealed class PersistQueue
{
    private readonly record struct Held(ulong Ticket, RaftMessage Message);

    private struct Ticket
    {
        public ulong Number;
        public LogIndex Reach;
        public LogIndex Snapshot;
    }

    private readonly List<Ticket> _inFlight = [];
    private readonly Queue<Held> _held = new();
    private ulong _issued;
    private bool _hardStateChanged;

    public PersistQueue(LogIndex persisted)
    {
        PersistedIndex = persisted;
        NextToHandOut = persisted.Next;
    }

    /// <summary>Everything up to here is durable, and is still what the log says.</summary>
    public LogIndex PersistedIndex { get; private set; }

    /// <summary>The first entry that has not been handed out.</summary>
    public LogIndex NextToHandOut { get; private set; }

    /// <summary>Entries at and above this one were handed out and then replaced.</summary>
    public LogIndex TruncateFrom { get; private set; }

    /// <summary>A snapshot that is to be installed.</summary>
    public InstallSnapshot? Snapshot { get; private set; }

    /// <summary>The last ticket that is durable.</summary>
    public ulong Done { get; private set; }

    public bool IsDirty(LogIndex lastIndex) =>
        _hardStateChanged || Snapshot is not null || NextToHandOut <= lastIndex || TruncateFrom > LogIndex.Zero;

    /// <summary>The ticket that covers everything that has changed until now.</summary>
    public ulong CoveringTicket(LogIndex lastIndex) => IsDirty(lastIndex) ? _issued + 1 : _issued;

    public void HardStateChanged() => _hardStateChanged = true;

    public void Truncated(LogIndex from)
    {
        LogIndex reach = new(from.Value - 1);
        if (PersistedIndex > reach)
        {
            PersistedIndex = reach;
        }

        for (int i = 0; i < _inFlight.Count; i++)
        {
            Ticket ticket = _inFlight[i];
            if (ticket.Reach > reach)
            {
                ticket.Reach = reach;
                _inFlight[i] = ticket;
            }
        }

        if (from < NextToHandOut)
        {
            NextToHandOut = from;
            if (TruncateFrom == LogIndex.Zero || from < TruncateFrom)
            {
                TruncateFrom = from;
            }
        }
    }

    public void Restored(InstallSnapshot snapshot)
    {
        PersistedIndex = LogIndex.Zero;
        for (int i = 0; i < _inFlight.Count; i++)
        {
            Ticket ticket = _inFlight[i];
            ticket.Reach = LogIndex.Zero;
            ticket.Snapshot = LogIndex.Zero;
            _inFlight[i] = ticket;
        }

        TruncateFrom = LogIndex.Zero;
        NextToHandOut = snapshot.Index.Next;
        Snapshot = snapshot;
    }

    /// <summary>Sends a message once everything that has changed until now is durable; at once when it already is.</summary>
    public void Hold(RaftMessage message, LogIndex lastIndex, List<RaftMessage> outbox)
    {
        ulong ticket = CoveringTicket(lastIndex);
        if (ticket <= Done)
        {
            outbox.Add(message);
        }
        else
        {
            _held.Enqueue(new Held(ticket, message));
        }
    }

    /// <summary>Issues a ticket for what is dirty, or 0; says whether the hard state is part of it.</summary>
    public ulong Issue(LogIndex lastIndex, out bool withHardState)
    {
        withHardState = _hardStateChanged;
        if (!IsDirty(lastIndex))
        {
            return 0;
        }

        _issued++;
        _inFlight.Add(new Ticket { Number = _issued, Reach = lastIndex, Snapshot = Snapshot?.Index ?? default });
        _hardStateChanged = false;
        Snapshot = null;
        TruncateFrom = LogIndex.Zero;
        NextToHandOut = lastIndex.Next;
        return _issued;
    }

    /// <summary>
    /// A ticket, and all before it, are durable. Returns the index of the newest snapshot among them that still counts, or 0.
    /// </summary>
    public LogIndex Complete(ulong ticket, Term currentTerm, List<RaftMessage> outbox)
    {
        Invariant.Check(ticket <= _issued, "a ticket that was never issued");
        LogIndex snapshot = LogIndex.Zero;
        int count = 0;
        for (; count < _inFlight.Count && _inFlight[count].Number <= ticket; count++)
        {
            if (_inFlight[count].Snapshot > LogIndex.Zero)
            {
                snapshot = _inFlight[count].Snapshot;
            }

            if (_inFlight[count].Reach > PersistedIndex)
            {
                PersistedIndex = _inFlight[count].Reach;
            }
        }

        _inFlight.RemoveRange(0, count);
        Done = Math.Max(Done, ticket);
        int released = outbox.Count;
        while (_held.TryPeek(out Held held) && held.Ticket <= Done)
        {
            _held.Dequeue();
            // What was said in an earlier term is of no use to anyone any more.
            if (held.Message.Term < currentTerm)
            {
                continue;
            }

            // One sync often ends the wait of many acknowledgements in a row: the last one says it all.
            if (outbox.Count > released && Supersedes(held.Message, outbox[^1]))
            {
                outbox[^1] = held.Message;
            }
            else
            {
                outbox.Add(held.Message);
            }
        }

        return snapshot;
    }

    private static bool Supersedes(RaftMessage later, RaftMessage earlier) =>
        later is AppendEntriesResponse { IsRejected: false } a && earlier is AppendEntriesResponse { IsRejected: false } b
        && a.To == b.To && a.Term == b.Term && a.Index >= b.Index;
}
