using Henge.Core;
using Henge.Node.Peers;
using Henge.Raft;

namespace Henge.Node.Replication;

// What other nodes send.
internal sealed partial class ShardReplica
{
    /// <summary>Takes a message of the group in.</summary>
    public void Receive(RaftMessage message)
    {
        if (message is InstallSnapshot snapshot)
        {
            // A header comes with its data only, never by itself.
            _ = snapshot;
            return;
        }

        if (IsHeld)
        {
            return;
        }

        CatchUp();
        if (message is AppendEntries or Heartbeat)
        {
            _inquiry.OnLeader();
        }

        _group.SetClock(Worker.ClockTicks);
        _group.Receive(message);
        _status.MarkChanged();
        Worker.MarkDirty(this);
    }

    /// <summary>A peer has answered a heartbeat that stood for all groups of this worker.</summary>
    public void OnSharedHeartbeat(NodeId from, ulong number, bool agrees, bool wasSteady)
    {
        if (IsHeld || _group.Role != RaftRole.Leader)
        {
            return;
        }

        if (agrees)
        {
            _group.SharedHeartbeatAnswered(from, number);
        }
        else
        {
            _group.SharedHeartbeatRefused(onlyForReads: !wasSteady);
        }

        if (_group.HasReady)
        {
            Worker.MarkDirty(this);
        }
    }

    /// <summary>Takes a record about snapshots in.</summary>
    public void ReceiveSnapshot(NodeId from, PeerRecordKind kind, ReadOnlyMemory<byte> body)
    {
        if (IsHeld)
        {
            return;
        }

        if (kind == PeerRecordKind.SnapshotChunk)
        {
            _inquiry.OnLeader();
            _receiver.OnChunk(from, body);
        }
        else
        {
            _sender.OnAck(from, body.Span);
        }

        Worker.MarkDirty(this);
    }

    /// <inheritdoc/>
    public void OnMembership(NodeId from, PeerRecordKind kind, ReadOnlySpan<byte> body)
    {
        _inquiry.Take(from, kind, body);
        Worker.MarkDirty(this);
    }

    /// <summary>A peer's state is damaged, and it wants a snapshot.</summary>
    public void OnSnapshotRequest(NodeId from, LogIndex applied)
    {
        if (!IsHeld && _group.Role == RaftRole.Leader)
        {
            _leadership.OnDamagedPeer(from);
            _sender.OnRequest(from, applied);
            Worker.MarkDirty(this);
        }
    }

    /// <summary>
    /// Takes a complete snapshot: in place of the damaged state alone when the log goes on from it, else as the group wants it.
    /// </summary>
    public void Offer(InstallSnapshot header)
    {
        _group.SetClock(Worker.ClockTicks);
        if (_machine.Damage is not null && _group.CanReplaceState(header))
        {
            Rebuild(header);
            return;
        }

        _group.Receive(header);
        Worker.MarkDirty(this);
    }

    /// <summary>
    /// Another node asks that history be closed at a version. One that lies too far ahead is refused, so that no other clock can drag this
    /// shard's versions along (docs/decisions/0133).
    /// </summary>
    public void OnAdvance(NodeId from, Core.Version version)
    {
        if (TryAdvance(version, out Core.Version limit))
        {
            return;
        }

        Node.Counters.OnAdvanceRefused();
        if (_group.Role == RaftRole.Leader && Worker.Links.Begin(from, PeerRecordKind.AdvanceRefused, Shard) is { } frame)
        {
            System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(frame.GetSpan(16), version.Value);
            System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(frame.GetSpan(16)[8..], limit.Value);
            frame.Advance(16);
            frame.EndRecord();
        }
    }

    /// <summary>The leader does not go as far as this node asked for.</summary>
    public void OnAdvanceRefused(NodeId by, Core.Version version, Core.Version limit) => _versions.OnRefused(by, version, limit);

    /// <summary>Has the leader close history at a version.</summary>
    public void AskToAdvance(Core.Version version)
    {
        if (_group.Role == RaftRole.Leader)
        {
            if (!TryAdvance(version, out Core.Version limit))
            {
                Node.Counters.OnAdvanceRefused();
                _versions.OnRefused(Node.Self, version, limit);
            }
        }
        else if (!_group.Leader.IsNone && Worker.Links.Begin(_group.Leader, PeerRecordKind.Advance, Shard) is { } frame)
        {
            System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(frame.GetSpan(8), version.Value);
            frame.Advance(8);
            frame.EndRecord();
        }
    }

    /// <summary>Closes history at a version, when it leads and that is not too far ahead.</summary>
    public bool TryAdvance(Core.Version version, out Core.Version limit)
    {
        limit = Node.Clock.LimitFor(LastLoggedVersion);
        if (version > limit)
        {
            return false;
        }

        _writes.AdvanceTo(version);
        Worker.MarkDirty(this);
        return true;
    }
}
