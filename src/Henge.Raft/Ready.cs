using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Henge.Core;

namespace Henge.Raft;

/// <summary>
/// What a group wants done. Taken with <see cref="RaftGroup.TakeReady"/>; one object for each group, used again: everything in it is valid
/// until the next call to <see cref="RaftGroup.TakeReady"/> of the same group. Its parts are independent and may be done in any order,
/// except as said here.
/// </summary>
/// <remarks>
/// <para><b>Messages</b> may leave at once, all of them. What must not leave before a sync (votes, acknowledgements) the group holds back
/// by itself until <see cref="RaftGroup.Persisted"/> says that the sync is done: it then comes out in a later Ready. There is no way to
/// send it too early.</para>
/// <para><b>To persist</b>, when <see cref="PersistTicket"/> is not 0: first <see cref="Snapshot"/>, then drop what stands at and above
/// <see cref="TruncateFrom"/>, then append <see cref="Entries"/>, and write <see cref="HardState"/>. Write the Readies of a group in order,
/// sync, then call <see cref="RaftGroup.Persisted"/> with the ticket; one sync may cover many tickets and many groups. If the sync fails,
/// end the process.</para>
/// <para><b>To apply</b>: <see cref="Committed"/>, in order; then call <see cref="RaftGroup.Applied"/>. No more are handed out before
/// that.</para>
/// </remarks>
public sealed class Ready
{
    internal readonly List<RaftMessage> MessageList = [];
    internal readonly List<Entry> EntryList = [];
    internal readonly List<Entry> CommittedList = [];
    internal readonly List<ReadGrant> ReadsGrantedList = [];
    internal readonly List<ulong> ReadsFailedList = [];
    internal readonly List<NodeId> SnapshotsToSendList = [];

    // Filled while events come in, and shown by the next Ready.
    internal readonly List<ReadGrant> PendingReadsGranted = [];
    internal readonly List<ulong> PendingReadsFailed = [];

    internal Ready()
    {
    }

    /// <summary>
    /// Not 0 when there is something to persist: give it to <see cref="RaftGroup.Persisted"/> once all of it is synced. Tickets of a group
    /// rise by one.
    /// </summary>
    public ulong PersistTicket { get; internal set; }

    /// <summary>Term and vote to persist; null when they have not changed.</summary>
    public HardState? HardState { get; internal set; }

    /// <summary>
    /// When not 0, entries at this index and above that were handed out earlier are to be replaced by <see cref="Entries"/>.
    /// </summary>
    public LogIndex TruncateFrom { get; internal set; }

    /// <summary>Entries to append to the persisted log.</summary>
    public ReadOnlySpan<Entry> Entries => CollectionsMarshal.AsSpan(EntryList);

    /// <summary>
    /// When not null, the snapshot whose header was received is to take the place of the state machine and of the whole log: install its
    /// data durably before the ticket is reported. When a header was received and this stays null, the snapshot was not needed, and its
    /// data can go.
    /// </summary>
    public InstallSnapshot? Snapshot { get; internal set; }

    /// <summary>Messages to send, best effort: any may be lost, doubled or reordered.</summary>
    public ReadOnlySpan<RaftMessage> Messages => CollectionsMarshal.AsSpan(MessageList);

    /// <summary>Committed entries to apply, all of them durable on this node, of every <see cref="EntryKind"/>.</summary>
    public ReadOnlySpan<Entry> Committed => CollectionsMarshal.AsSpan(CommittedList);

    /// <summary>Reads that may be served once their index is applied.</summary>
    public ReadOnlySpan<ReadGrant> ReadsGranted => CollectionsMarshal.AsSpan(ReadsGrantedList);

    /// <summary>Reads that will not be granted: ask the present leader again.</summary>
    public ReadOnlySpan<ulong> ReadsFailed => CollectionsMarshal.AsSpan(ReadsFailedList);

    /// <summary>
    /// Peers that need a snapshot: call <see cref="RaftGroup.BeginSnapshot"/> for each, stream it, then call
    /// <see cref="RaftGroup.SnapshotSent"/> or <see cref="RaftGroup.SnapshotFailed"/>. Each peer is named once, until one of the latter is
    /// called.
    /// </summary>
    public ReadOnlySpan<NodeId> SnapshotsToSend => CollectionsMarshal.AsSpan(SnapshotsToSendList);

    /// <summary>With <see cref="RaftOptions.SharedHeartbeats"/>: a shared heartbeat is due, to every peer.</summary>
    public bool WantsHeartbeat { get; internal set; }

    /// <summary>
    /// With <see cref="RaftOptions.SharedHeartbeats"/>: reads wait for a shared heartbeat. Call <see cref="RaftGroup.SharedHeartbeatSent"/>
    /// right before the next one leaves, which should be at once.
    /// </summary>
    public bool WantsProof { get; internal set; }

    /// <summary>
    /// Role, leader or term are other than in the last Ready: look at <see cref="RaftGroup.Role"/>, <see cref="RaftGroup.Leader"/>,
    /// <see cref="RaftGroup.Term"/>.
    /// </summary>
    public bool RoleChanged { get; internal set; }

    /// <summary>
    /// The membership that is now in force on this node, when it has changed: open and close connections by it. It may still be rolled
    /// back.
    /// </summary>
    public Membership? Membership { get; internal set; }

    /// <summary>True when there is nothing to do.</summary>
    public bool IsEmpty =>
        PersistTicket == 0
        && MessageList.Count == 0
        && CommittedList.Count == 0
        && ReadsGrantedList.Count == 0
        && ReadsFailedList.Count == 0
        && SnapshotsToSendList.Count == 0
        && !RoleChanged
        && !WantsHeartbeat
        && !WantsProof
        && Membership is null;

    internal void TakePendingReads()
    {
        ReadsGrantedList.AddRange(PendingReadsGranted);
        ReadsFailedList.AddRange(PendingReadsFailed);
        PendingReadsGranted.Clear();
        PendingReadsFailed.Clear();
    }

    internal void Clear()
    {
        PersistTicket = 0;
        HardState = null;
        TruncateFrom = default;
        Snapshot = null;
        RoleChanged = false;
        WantsHeartbeat = false;
        WantsProof = false;
        Membership = null;
        MessageList.Clear();
        EntryList.Clear();
        CommittedList.Clear();
        ReadsGrantedList.Clear();
        ReadsFailedList.Clear();
        SnapshotsToSendList.Clear();
    }

    /// <summary>Everything in it as lines of text, for logs and transcripts.</summary>
    public override string ToString()
    {
        StringBuilder text = new();
        void Line(FormattableString line) => text.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
        if (PersistTicket != 0)
        {
            Line($"persist #{PersistTicket}:");
            if (Snapshot is not null)
            {
                Line($"  snapshot {Snapshot}");
            }

            if (HardState is not null)
            {
                Line($"  {HardState}");
            }

            if (TruncateFrom > LogIndex.Zero)
            {
                Line($"  truncate from {TruncateFrom}");
            }

            foreach (Entry entry in EntryList)
            {
                Line($"  entry {entry}");
            }
        }

        foreach (RaftMessage message in MessageList)
        {
            Line($"send {message}");
        }

        foreach (Entry entry in CommittedList)
        {
            Line($"apply {entry}");
        }

        foreach (ReadGrant grant in ReadsGrantedList)
        {
            Line($"read {grant.RequestId} at {grant.Index}");
        }

        foreach (ulong id in ReadsFailedList)
        {
            Line($"read {id} failed");
        }

        foreach (NodeId id in SnapshotsToSendList)
        {
            Line($"snapshot wanted by {id}");
        }

        if (WantsHeartbeat)
        {
            Line($"shared heartbeat");
        }

        if (WantsProof)
        {
            Line($"shared heartbeat for reads");
        }

        if (Membership is not null)
        {
            Line($"membership {Membership}");
        }

        return text.ToString();
    }
}
