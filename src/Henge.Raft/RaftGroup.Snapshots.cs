using Henge.Core;

namespace Henge.Raft;

// Snapshots: Raft paper, section 7. The data travels outside of the group, in chunks that the caller makes; here is only who needs one, and
// what it is of.
public sealed partial class RaftGroup
{
    private readonly List<NodeId> _snapshotsWanted = [];

    /// <summary>
    /// The lowest index that a snapshot covers which is on its way to a peer, or was just sent: the peer goes on behind it. Null when there
    /// is none.
    /// </summary>
    public LogIndex? SnapshotFloor
    {
        get
        {
            LogIndex? floor = null;
            foreach (Progress p in _progress)
            {
                LogIndex index = p.State switch
                {
                    PeerState.Snapshot => p.PendingSnapshot,
                    PeerState.Probe when p.SnapshotNotBefore > Now => new LogIndex(p.Next.Value - 1),
                    _ => LogIndex.Zero,
                };
                if (p.Id != _self && index > LogIndex.Zero && (floor is null || index < floor))
                {
                    floor = index;
                }
            }

            return floor;
        }
    }

    /// <summary>
    /// A snapshot for a peer begins: returns the header to send along with its data. Null when the peer needs none any more, or when the
    /// log has been compacted beyond the snapshot meanwhile, so that it would lead nowhere (another one is asked for then); in both cases
    /// nothing is to be sent, and nothing reported.
    /// </summary>
    /// <param name="to">As named in <see cref="Ready.SnapshotsToSend"/>.</param>
    /// <param name="index">What the snapshot covers: an applied index.</param>
    public InstallSnapshot? BeginSnapshot(NodeId to, LogIndex index)
    {
        if (Role != RaftRole.Leader || ProgressOf(to) is not { State: PeerState.Snapshot } progress)
        {
            return null;
        }

        Invariant.Check(index <= AppliedIndex, "a snapshot covers what is applied");
        if (_log.TermAt(index) is not { } indexTerm)
        {
            EndSnapshot(to, isSent: false);
            return null;
        }

        progress.PendingSnapshot = index;
        return new InstallSnapshot
        {
            From = _self,
            To = to,
            Term = Term,
            Index = index,
            IndexTerm = indexTerm,
            Membership = MembershipAt(index),
        };
    }

    /// <summary>
    /// A snapshot for a peer whose log is in order, and whose state machine is not: the header to send along with its data. Replication to
    /// it goes on meanwhile. Null when this node does not lead, the peer is no member, or the log begins after the index.
    /// </summary>
    public InstallSnapshot? DescribeSnapshot(NodeId to, LogIndex index)
    {
        Invariant.Check(index <= AppliedIndex, "a snapshot covers what is applied");
        return Role == RaftRole.Leader && ProgressOf(to) is not null && _log.TermAt(index) is { } indexTerm
            ? new InstallSnapshot
            {
                From = _self,
                To = to,
                Term = Term,
                Index = index,
                IndexTerm = indexTerm,
                Membership = MembershipAt(index),
            }
            : null;
    }

    /// <summary>
    /// Whether a snapshot can take the place of the state machine alone: the log holds, durably, the very entry that the snapshot ends
    /// with, and nothing behind that is applied. Log, vote and what was acknowledged stay as they are.
    /// </summary>
    public bool CanReplaceState(InstallSnapshot snapshot) =>
        Role != RaftRole.Leader
        && snapshot.Index >= AppliedIndex
        && snapshot.Index <= _persist.PersistedIndex
        && _log.TermAt(snapshot.Index) == snapshot.IndexTerm;

    /// <summary>
    /// The state machine was replaced by a snapshot (see <see cref="CanReplaceState"/>) and has everything up to its index applied. What
    /// was handed out to be applied and is not counts as never handed out: entries behind the snapshot come again.
    /// </summary>
    public void StateReplaced(InstallSnapshot snapshot)
    {
        Invariant.Check(CanReplaceState(snapshot), "only a state that the log goes on from takes the place of another");
        CommitTo(snapshot.Index);
        AppliedIndex = snapshot.Index;
        _handedOut = snapshot.Index;
        _applyIsPending = false;
    }

    /// <summary>
    /// All of the snapshot, header included, has been sent. The peer's acknowledgement, or its answer to a heartbeat, starts replication
    /// behind it.
    /// </summary>
    public void SnapshotSent(NodeId to) => EndSnapshot(to, isSent: true);

    /// <summary>
    /// The snapshot could not be made or sent. Another is asked for after <see cref="RaftOptions.SnapshotRetryTicks"/>, if one is still
    /// needed.
    /// </summary>
    public void SnapshotFailed(NodeId to) => EndSnapshot(to, isSent: false);

    private void EndSnapshot(NodeId to, bool isSent)
    {
        if (Role != RaftRole.Leader || ProgressOf(to) is not { State: PeerState.Snapshot } progress)
        {
            return;
        }

        if (!isSent)
        {
            progress.PendingSnapshot = default;
        }

        progress.BecomeProbe();
        // It has to be installed first: wait until something is heard.
        progress.IsProbePaused = true;
        progress.SnapshotNotBefore = Now + (ulong)_options.SnapshotRetryTicks;
    }

    private void AskForSnapshot(Progress progress)
    {
        // The member does not answer, or the last snapshot ended a moment ago: the next heartbeat's answer tries again.
        if (!progress.IsRecentlyActive || Now < progress.SnapshotNotBefore)
        {
            progress.IsProbePaused = true;
            return;
        }

        progress.BecomeSnapshot();
        _snapshotsWanted.Add(progress.Id);
    }

    private void OnInstallSnapshot(InstallSnapshot m)
    {
        if (m.Index <= _commit)
        {
            Acknowledge(m.From, _commit);
            return;
        }

        if (_log.TermAt(m.Index) == m.IndexTerm)
        {
            // The log has it all: then the snapshot only tells what is committed.
            CommitTo(m.Index);
            Acknowledge(m.From, m.Index);
            return;
        }

        _log.Reset(m.Index, m.IndexTerm);
        _persist.Restored(m);
        _memberships.Reset(m.Index, m.Membership);
        _membershipChanged = true;
        _commit = m.Index;
        Acknowledge(m.From, m.Index);
    }

    private void SnapshotInstalled(LogIndex index)
    {
        if (index > AppliedIndex)
        {
            AppliedIndex = index;
            _handedOut = index;
        }
    }
}
