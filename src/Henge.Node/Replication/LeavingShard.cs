using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Log;
using Henge.Node.Peers;
using Henge.Node.Workers;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>
/// A shard whose replica is being dropped: first its tombstone becomes durable, then what the engine and the disk have of it goes, then it
/// is absent. It hears nobody meanwhile. A crash at any moment leaves either the whole replica or the tombstone, by which the next start
/// goes on. Belongs to the shard's worker.
/// </summary>
internal sealed class LeavingShard(ShardHost host, Worker worker, ShardRemains remains) : IReplica, ITicked
{
    private const int RetryTicks = 50;
    private bool _logged;
    private bool _gone;

    /// <inheritdoc/>
    public ShardId Shard => remains.Shard;

    /// <inheritdoc/>
    public bool IsDirty { get; set; }

    /// <inheritdoc/>
    public Term TermAtStart => remains.TermAtStart;

    /// <inheritdoc/>
    public string? LeaderAddress => remains.Remote.LeaderAddress;

    /// <inheritdoc/>
    public bool LeadsIn(Term term) => false;

    /// <summary>The tombstone is durable since before the node started.</summary>
    public void OnFound() => _logged = true;

    /// <inheritdoc/>
    public void Add(Operation operation) => remains.Remote.Add(operation);

    /// <inheritdoc/>
    public void Process() => remains.Remote.Process();

    /// <inheritdoc/>
    public void OnPlaceChanged() => remains.Remote.OnPlaceChanged();

    /// <inheritdoc/>
    public void Stop() => remains.Remote.Stop();

    /// <summary>Records of the replica come back as well, all of them before the tombstone.</summary>
    public void OnLogged(in NodeLogRecord record, in EntryLocation location)
    {
        if (record.Kind == NodeLogRecordKind.LateBase && record.Reset && record.Index == LogIndex.Zero)
        {
            remains.Log.Reset(record.Index, record.Term, record.Membership);
            _logged = true;
        }
    }

    /// <summary>The tombstone is durable.</summary>
    public void OnPersisted(ulong ticket)
    {
        Invariant.Check(_logged, "nothing is dropped before its tombstone is durable");
        if (host.TryDropState(Shard))
        {
            _gone = true;
            host.OnDropped(worker, remains);
        }
    }

    /// <summary>Tries again what found no room, or an engine that was too far behind.</summary>
    public void Tick(long tick)
    {
        if (_logged && !_gone && tick % RetryTicks == 0 && host.TryDropState(Shard))
        {
            _gone = true;

            // Not here: the worker is ticking.
            worker.Post(new WorkerAction(w => host.OnDropped(w, remains)));
        }
    }

    /// <inheritdoc/>
    public void Receive(RaftMessage message)
    {
    }

    /// <inheritdoc/>
    public void ReceiveSnapshot(NodeId from, PeerRecordKind kind, ReadOnlyMemory<byte> body)
    {
    }

    /// <inheritdoc/>
    public void OnAdvance(NodeId from, Core.Version version)
    {
    }

    /// <inheritdoc/>
    public void OnAdvanceRefused(NodeId from, Core.Version version, Core.Version limit)
    {
    }

    /// <inheritdoc/>
    public void OnSnapshotRequest(NodeId from, LogIndex index)
    {
    }

    /// <inheritdoc/>
    public void OnMembership(NodeId from, PeerRecordKind kind, ReadOnlySpan<byte> body)
    {
    }
}
