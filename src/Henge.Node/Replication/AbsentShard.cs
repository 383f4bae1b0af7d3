using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Log;
using Henge.Node.Peers;
using Henge.Node.Workers;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>
/// A shard of which this node has no replica. It begins to have one when a leader speaks to it, and never for a vote: who has nothing has
/// none to give. Belongs to the shard's worker.
/// </summary>
internal sealed class AbsentShard(ShardHost host, Worker worker, ShardRemains remains) : IReplica
{
    /// <inheritdoc/>
    public ShardId Shard => remains.Shard;

    /// <inheritdoc/>
    public bool IsDirty { get; set; }

    /// <inheritdoc/>
    public Term TermAtStart => remains.TermAtStart;

    /// <summary>True when there was a replica here, and it was dropped.</summary>
    public bool WasDropped => !remains.Forgotten.IsNone;

    /// <summary>The term that a replica which was here had been in.</summary>
    public Term LastTerm => remains.HardState.Term;

    /// <summary>A replica begins that has nothing, since nobody has anything of the shard.</summary>
    public ShardReplica Begin() => host.Begin(worker, remains);

    /// <inheritdoc/>
    public string? LeaderAddress => remains.Remote.LeaderAddress;

    /// <inheritdoc/>
    public bool LeadsIn(Term term) => false;

    /// <inheritdoc/>
    public void Add(Operation operation) => remains.Remote.Add(operation);

    /// <inheritdoc/>
    public void Process() => remains.Remote.Process();

    /// <inheritdoc/>
    public void OnPlaceChanged() => remains.Remote.OnPlaceChanged();

    /// <inheritdoc/>
    public void Stop() => remains.Remote.Stop();

    /// <inheritdoc/>
    public void OnLogged(in NodeLogRecord record, in EntryLocation location)
    {
    }

    /// <inheritdoc/>
    public void OnPersisted(ulong ticket)
    {
    }

    /// <inheritdoc/>
    public void Receive(RaftMessage message)
    {
        if (host.MayBegin(message))
        {
            host.Begin(worker, remains).Receive(message);
        }
    }

    /// <inheritdoc/>
    public void ReceiveSnapshot(NodeId from, PeerRecordKind kind, ReadOnlyMemory<byte> body)
    {
        if (kind == PeerRecordKind.SnapshotChunk)
        {
            host.Begin(worker, remains).ReceiveSnapshot(from, kind, body);
        }
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
