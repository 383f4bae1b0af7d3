using Henge.Core;

namespace Henge.Raft;

/// <summary>
/// Reads that wait for a leader's proof that it still leads (ReadIndex: Raft thesis, section 6.4). Each read has a number of its own, and
/// the numbers rise: an answer to a heartbeat that carried a number proves leadership for all reads up to it and for none after it.
/// </summary>
internal sealed class ReadQueue
{
    private readonly record struct Pending(ulong Sequence, LogIndex Index, NodeId Requester, ulong Id);

    private readonly Queue<Pending> _pending = new();
    private readonly Queue<(NodeId Requester, ulong Id)> _deferred = new();

    /// <summary>The number of the latest read.</summary>
    public ulong LastSequence { get; private set; }

    /// <summary>Some read waits for a proof.</summary>
    public bool IsWaiting => _pending.Count > 0;

    public int Count => _pending.Count + _deferred.Count;

    /// <summary>A read that came before the leader's own entry was committed: only then does the leader know what is committed.</summary>
    public void AddDeferred(NodeId requester, ulong id) => _deferred.Enqueue((requester, id));

    public bool TryTakeDeferred(out (NodeId Requester, ulong Id) read) => _deferred.TryDequeue(out read);

    public void Add(NodeId requester, ulong id, LogIndex commit) => _pending.Enqueue(new Pending(++LastSequence, commit, requester, id));

    /// <summary>Takes the next read whose number a majority has answered.</summary>
    public bool TryTake(ulong proven, out NodeId requester, out ulong id, out LogIndex index)
    {
        if (_pending.TryPeek(out Pending read) && read.Sequence <= proven)
        {
            _pending.Dequeue();
            (requester, id, index) = (read.Requester, read.Id, read.Index);
            return true;
        }

        (requester, id, index) = (default, 0, default);
        return false;
    }

    /// <summary>Empties the queue into what failed, as far as it was asked here.</summary>
    public void Fail(NodeId self, List<ulong> failed)
    {
        while (_pending.TryDequeue(out Pending read))
        {
            if (read.Requester == self)
            {
                failed.Add(read.Id);
            }
        }

        while (_deferred.TryDequeue(out (NodeId Requester, ulong Id) read))
        {
            if (read.Requester == self)
            {
                failed.Add(read.Id);
            }
        }

        LastSequence = 0;
    }
}
