using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Node.StateMachine;
using Henge.Raft;

namespace Henge.Node.Replication;

// A state that is damaged on the disk, and how another one takes its place (docs/decisions/0131, 0132).
internal sealed partial class ShardReplica
{
    private const string AllMembersDamaged =
        "Nor is any other member of the shard whole, so that none can be rebuilt from another: each says in its status which of its files "
            + "is damaged. "
        + "Stop one of these nodes, put that file back from a copy of its directory (a table never changes once it is written), and start "
        + "the node: the others are rebuilt from it.";

    private string? DamageProblem =>
        _machine.Damage is not { } damage ? null
        : IsDamagedEverywhere
            ? $"A part of its state is damaged on this node's disk. "
                + $"{AllMembersDamaged}{(_machine.IsStopped ? $" It stands still at entry {_machine.AppliedIndex}." : "")} {damage}"
        : _machine.State == MachineState.Unreadable
            ? $"Its own records are damaged on this node's disk, so that nothing of it is served here. Nothing was deleted, and this "
                + $"replica is rebuilt from its leader. {damage}"
        : _machine.IsStopped
            ? $"An entry of its log cannot be applied, since what it reads is damaged on this node's disk. It stands still at entry "
                + $"{_machine.AppliedIndex}, and nothing was deleted; other members "
                + $"lead where they can, and this one is rebuilt from its leader. {damage}"
        : "A part of its state is damaged on this node's disk. What is damaged is refused, what is not is served, and nothing was deleted; "
            + "where other members can lead, they do, "
            + $"and this one is rebuilt from its leader. {damage}";

    /// <summary>On the leader: a part of the state of all voters is damaged.</summary>
    public bool IsDamagedEverywhere => _leadership?.IsDamagedEverywhere ?? false;

    /// <summary>On the leader: a peer says that a part of its state is damaged.</summary>
    public bool IsDamaged(NodeId peer) => _leadership?.IsDamaged(peer) ?? false;

    /// <summary>What is known of its peers' damage has changed.</summary>
    public void OnDamageKnown()
    {
        _status.MarkChanged();
        if (IsDamagedEverywhere && DamageProblem is { } problem)
        {
            Node.Events?.ShardDamagedEverywhere(Shard, problem);
        }
    }

    // A committed entry cannot be applied here. Callers that wait for its results get "unknown outcome": other members have applied it, and
    // this one receives its effects with a snapshot.
    private void OnStopped()
    {
        _writes.OnStopped(_toApply);
        _damageNoticed = true;
        _status.MarkChanged();
        Node.Events?.ApplyStopped(Shard, _machine.AppliedIndex, DamageProblem ?? "");
        AskForState();
        if (_group.Role == RaftRole.Leader)
        {
            _leadership.HandOverDamaged();
        }

        Worker.MarkDirty(this);
    }

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
            Node.Events?.ShardDamaged(Shard, problem);
        }
    }

    // Its leader is asked again and again: the request, the leader or the snapshot may be lost, and each one tells the leader to keep
    // leadership away from here.
    private void AskForState(TickSpan span)
    {
        if (_machine.Damage is not null && span.Reaches(DamagedTicks))
        {
            AskForState();
        }
    }

    private void AskForState()
    {
        if (!_group.Leader.IsNone && _group.Leader != Node.Self
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
        _mayRetryHeld = false;
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
