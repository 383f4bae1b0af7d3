using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Log;
using Henge.Node.Peers;
using Henge.Raft;

namespace Henge.Node.Workers;

/// <summary>
/// One shard, as the worker that it belongs to drives it: hosted here (<see cref="IHostedReplica"/>) or not. Only the worker calls it. A
/// shard that is not hosted has no group; what only concerns one is dropped.
/// </summary>
internal interface IReplica : IPersistTarget
{
    /// <summary>Which shard.</summary>
    ShardId Shard { get; }

    /// <summary>For the worker: it is in the list of those to look after.</summary>
    bool IsDirty { get; set; }

    /// <summary>Its term when the node started: in no later one has this node led the shard before that.</summary>
    Term TermAtStart { get; }

    /// <summary>The address of the leader when it is known and another node.</summary>
    string? LeaderAddress { get; }

    /// <summary>True while it leads in a term.</summary>
    bool LeadsIn(Term term);

    /// <summary>Takes an operation in.</summary>
    void Add(Operation operation);

    /// <summary>Something has become known of where the shard is, or who leads it.</summary>
    void OnPlaceChanged();

    /// <summary>Does what has become possible; called once after all that came in one run.</summary>
    void Process();

    /// <summary>Fails everything that waits.</summary>
    void Stop();

    /// <summary>A message of its group has come.</summary>
    void Receive(RaftMessage message);

    /// <summary>A piece of a snapshot, or its acknowledgement, has come.</summary>
    void ReceiveSnapshot(NodeId from, PeerRecordKind kind, ReadOnlyMemory<byte> body);

    /// <summary>A peer wants history to be closed at a version.</summary>
    void OnAdvance(NodeId from, Core.Version version);

    /// <summary>The leader did not close history at a version.</summary>
    void OnAdvanceRefused(NodeId from, Core.Version version, Core.Version limit);

    /// <summary>A peer asks for the state of the shard.</summary>
    void OnSnapshotRequest(NodeId from, LogIndex index);

    /// <summary>A peer asks whether it is still a member of the shard, or is told that it is not.</summary>
    void OnMembership(NodeId from, PeerRecordKind kind, ReadOnlySpan<byte> body);
}

/// <summary>What a worker ticks.</summary>
internal interface ITicked
{
    /// <summary>A tick of time has passed. Shards must not come and go while the worker ticks.</summary>
    void Tick(long tick);
}

/// <summary>A shard of which this node has a replica.</summary>
internal interface IHostedReplica : IReplica, ITicked
{
    /// <summary>Its Raft group.</summary>
    RaftGroup Group { get; }

    /// <summary>Whether it takes several ticks at once, and hears of its leader then.</summary>
    bool Rests { get; }

    /// <summary>Begins to take part.</summary>
    void Begin();

    /// <summary>A peer has answered a heartbeat that shards share.</summary>
    void OnSharedHeartbeat(NodeId from, ulong number, bool agrees, bool wasSteady);
}
