using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Context;

namespace Henge.Node.Peers;

/// <summary>What a record of a peer frame is. The numbers are on the wire: never change one.</summary>
internal enum PeerRecordKind : byte
{
    /// <summary>A message of a shard's Raft group.</summary>
    Raft = 1,
    /// <summary>A write on its way to the shard's leader.</summary>
    Forward = 2,
    /// <summary>The outcome of a forwarded write.</summary>
    ForwardReply = 3,
    /// <summary>The receiver does not take the sender for a member; the body is a message for its operator.</summary>
    Refused = 4,
    /// <summary>Asks the leader to close a shard's history at a version.</summary>
    Advance = 5,
    /// <summary>A piece of a snapshot.</summary>
    SnapshotChunk = 6,
    /// <summary>How far a snapshot has come.</summary>
    SnapshotAck = 7,
    /// <summary>
    /// A heartbeat for all shards that the sender leads; in place of a shard, the number of the worker that wants the answer.
    /// </summary>
    Heartbeat = 8,
    /// <summary>The answer, for that worker.</summary>
    HeartbeatAnswer = 9,
    /// <summary>What the sender's cluster was made with; alone in the first frame of a connection, in both directions.</summary>
    Hello = 10,
    /// <summary>Asks for the receiver's wall clock.</summary>
    ClockQuestion = 11,
    /// <summary>Tells it.</summary>
    ClockAnswer = 12,
    /// <summary>
    /// The leader does not close a shard's history at the version that it was asked for: it lies too far ahead of its clock.
    /// </summary>
    AdvanceRefused = 13,
    /// <summary>Asks the leader for a snapshot as of an applied index or later: a part of the sender's state is damaged.</summary>
    SnapshotRequest = 14,
    /// <summary>A message of the sender's doors for the receiver's; may be lost.</summary>
    Message = 15,
    /// <summary>Tells where shards are.</summary>
    ShardNews = 32,
    /// <summary>Asks where a shard is.</summary>
    ShardQuestion = 33,
    /// <summary>A read on its way to a replica of the shard.</summary>
    ReadForward = 34,
    /// <summary>The outcome of a forwarded read.</summary>
    ReadReply = 35,
    /// <summary>Asks for a page of a scan or of a key's history, from several shards.</summary>
    PageRequest = 36,
    /// <summary>A page, or why there is none.</summary>
    PageReply = 37,
    /// <summary>Asks for the events of some shards.</summary>
    WatchOpen = 40,
    /// <summary>Events, and how far they lead in which shards.</summary>
    WatchEvents = 41,
    /// <summary>How many bytes of events may be sent, and that the sender is there.</summary>
    WatchCredit = 42,
    /// <summary>No more events come, and why.</summary>
    WatchEnd = 43,
    /// <summary>No more events are wanted.</summary>
    WatchClose = 44,
    /// <summary>Tells the catalog's leader how shards are that the sender leads.</summary>
    ShardReport = 48,
    /// <summary>Asks whether the sender still is a member of the shard.</summary>
    MembershipQuestion = 16,
    /// <summary>It is not, and nobody counts on what it has of the shard.</summary>
    MembershipAnswer = 17,
}
