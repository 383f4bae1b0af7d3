using Henge.Core;
using Henge.Node.Hosting;
using Henge.Node.Peers;
using Henge.Raft;

namespace Henge.Node.Replication;

// A state that is damaged on the disk, and how another one takes its place (docs/decisions/0131, 0132).
internal sealed partial class ShardReplica
{
    private string? DamageProblem => _machine.Damage is { } damage
        ? $"A part of its state is damaged on this node's disk. What is damaged is refused, what is not is served, and nothing was deleted; where other members can lead, they do, and this one is rebuilt from its leader. {damage}" : null;

    // Found by a read, on whichever thread that ran.
    private void NoticeDamage()
    {
        if (_damageNoticed == (_machine.Damage is not null))
        {
            return;
        }

        _damageNoticed = !_damageNoticed;
        _status.MarkChanged();
        if (DamageProblem is { } problem)
        {
            Node.Note(NodeEventLevel.Error, $"{Shard}: {problem}");
        }
    }

    // Its leader is asked again and again: the request, the leader or the snapshot may be lost, and each one tells the leader to keep leadership away from here.
    private void AskForState(long tick)
    {
        if (_machine.Damage is not null && tick % DamagedTicks == 0 && !_group.Leader.IsNone && _group.Leader != Node.Self
            && Worker.Links.Begin(_group.Leader, PeerRecordKind.SnapshotRequest, Shard) is { } frame)
        {
            System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(frame.GetSpan(8), _machine.AppliedIndex.Value);
            frame.Advance(8);
            frame.EndRecord();
            Worker.MarkDirty(this);
        }
    }

    // What it would apply now, the state that is coming in has already, or it comes again after that.
    private bool AwaitsState => _machine.Damage is not null && _receiver.IsReceiving && _group.Role != RaftRole.Leader;

    // False when the disk has no room for it: then the replica stands still until there is.
    private bool Rebuild(InstallSnapshot snapshot)
    {
        _mayTryHeld = false;
        _status.MarkChanged();
        if (!_receiver.TryInstall(snapshot))
        {
            _heldRebuild = snapshot;
            return false;
        }

        _heldRebuild = null;
        _group.StateReplaced(snapshot);
        _writes.OnSnapshot(snapshot.Index, _machine.LastVersion);
        OnInstalled();
        _versions.Serve(_machine.LastVersion);
        _reads.Serve();
        Worker.MarkDirty(this);
        return true;
    }
}
