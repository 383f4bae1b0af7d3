using Henge.Core;

namespace Henge.Raft;

// Snapshots: Raft paper, section 7. The data travels outside of the group, in chunks that the caller makes; here is only who needs one, and what it is of.
public sealed partial class RaftGroup
{
    private readonly List<NodeId> _snapshotsWanted = [];

    /// <summary>
    /// A snapshot for a peer begins: returns the header to send along with its data. Null when the peer needs none any more, or when the log has been compacted beyond
    /// the snapshot meanwhile, so that it would lead nowhere (another one is asked for then); in both cases nothing is to be sent, and nothing reported.
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

    /// <summary>All of the snapshot, header included, has been sent. The peer's acknowledgement, or its answer to a heartbeat, starts replication behind it.</summary>
    public void SnapshotSent(NodeId to) => EndSnapshot(to, isSent: true);

    /// <summary>The snapshot could not be made or sent. Another is asked for after <see cref="RaftOptions.SnapshotRetryTicks"/>, if one is still needed.</summary>
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
        // Nobody is there to take it, or the last one ended a moment ago: the next heartbeat's answer tries again.
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
