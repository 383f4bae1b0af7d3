using System.IO.Hashing;
using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>
/// One simulated node: a group, a disk that may lose what was not synced, and a state machine that only counts. Everything that a real
/// caller must do is done here.
/// </summary>
internal sealed class TestNode
{
    private sealed record Write(
        ulong Ticket,
        HardState? HardState,
        LogIndex TruncateFrom,
        Entry[] Entries,
        InstallSnapshot? Snapshot,
        ulong SnapshotHash);

    private readonly Func<NodeId, RaftOptions> _options;
    private readonly IRandomSource _random;
    private readonly Queue<Write> _unsynced = new();

    // On disk.
    private MemoryRaftLog _diskLog = new();
    private HardState _diskHardState;
    private Membership _diskMembership;
    private LogIndex _diskMembershipIndex;
    private LogIndex _diskApplied;
    private ulong _diskHash;

    // In memory.
    private ulong _hash;

    public TestNode(NodeId id, Membership first, Func<NodeId, RaftOptions> options, IRandomSource random)
    {
        Id = id;
        _options = options;
        _random = random;
        _diskMembership = first;
        Start();
    }

    public NodeId Id { get; }

    public RaftGroup? Group { get; private set; }

    public bool IsUp => Group is not null;

    public bool HasUnsynced => _unsynced.Count > 0;

    public MemoryRaftLog DiskLog => _diskLog;

    public HardState DiskHardState => _diskHardState;

    /// <summary>The log as the group has handed it out, synced or not.</summary>
    public List<Entry> Log { get; } = [];

    public LogIndex LogCompacted { get; private set; }

    /// <summary>The hash of everything applied, which depends on each entry and their order.</summary>
    public ulong StateHash => _hash;

    public ulong TicksAtStart { get; set; }

    /// <summary>Until this round neither messages nor ticks come through: its worker is held up, while clock and network go on.</summary>
    public ulong BlockedUntilRound { get; set; }

    /// <summary>Ticks that are due and have not come.</summary>
    public int LateTicks { get; set; }

    /// <summary>Snapshot data by header, as a receiver holds it before it is installed.</summary>
    public Dictionary<InstallSnapshot, ulong> Staged { get; } = [];

    public void Start()
    {
        if (_diskApplied > _diskLog.LastIndex)
        {
            throw new InvalidOperationException("The simulated disk is wrong.");
        }

        Group = new RaftGroup(_options(Id), _diskLog, new RestoredState
        {
            HardState = _diskHardState,
            Membership = _diskMembership,
            MembershipIndex = _diskMembershipIndex,
            Applied = _diskApplied,
        }, new SplitMix64Random(_random.NextUInt64()));
        _hash = _diskHash;
        Log.Clear();
        Log.AddRange(_diskLog.Entries);
        LogCompacted = _diskLog.CompactedIndex;
    }

    /// <summary>
    /// The process dies: of what was not synced, the first <paramref name="survivingWrites"/> writes have reached the disk all the same,
    /// and of the one after them, if it is not a snapshot, the hard state and <paramref name="survivingEntries"/> entries (-1: nothing).
    /// </summary>
    public void Crash(int survivingWrites, int survivingEntries = -1)
    {
        for (int i = 0; i < survivingWrites && _unsynced.Count > 0; i++)
        {
            Persist(_unsynced.Dequeue());
        }

        if (survivingEntries >= 0 && _unsynced.TryDequeue(out Write? torn) && torn.Snapshot is null)
        {
            Persist(torn with { Entries = torn.Entries[..Math.Min(survivingEntries, torn.Entries.Length)] });
        }

        _unsynced.Clear();
        Staged.Clear();
        Group = null;
    }

    public int UnsyncedCount => _unsynced.Count;

    /// <summary>Loses everything: what an operator must never do to a node that has voted.</summary>
    public void LoseDisk(Membership membership)
    {
        _diskLog = new MemoryRaftLog();
        _diskHardState = default;
        _diskMembership = membership;
        _diskMembershipIndex = default;
        _diskApplied = default;
        _diskHash = 0;
    }

    /// <summary>Does what a Ready asks for, except syncing and sending.</summary>
    public void Handle(Ready ready, Action<TestNode, Entry, ulong> onApply)
    {
        if (ready.PersistTicket != 0)
        {
            ulong snapshotHash = 0;
            if (ready.Snapshot is { } snapshot)
            {
                snapshotHash = Staged[snapshot];
                Log.Clear();
                LogCompacted = snapshot.Index;
            }

            if (ready.TruncateFrom > LogIndex.Zero)
            {
                int keep = (int)(ready.TruncateFrom.Value - LogCompacted.Value - 1);
                Log.RemoveRange(keep, Log.Count - keep);
            }

            Log.AddRange(ready.Entries);
            _unsynced.Enqueue(
                new Write(ready.PersistTicket, ready.HardState, ready.TruncateFrom, ready.Entries.ToArray(), ready.Snapshot, snapshotHash));
        }

        LogIndex applied = default;
        foreach (Entry entry in ready.Committed)
        {
            _hash = Mix(_hash, entry);
            applied = entry.Index;
            onApply(this, entry, _hash);
        }

        if (applied > LogIndex.Zero)
        {
            Group!.Applied(applied);
        }
    }

    /// <summary>One sync that covers the oldest <paramref name="writes"/> writes.</summary>
    public void Sync(int writes)
    {
        ulong ticket = 0;
        for (int i = 0; i < writes && _unsynced.Count > 0; i++)
        {
            Write write = _unsynced.Dequeue();
            Persist(write);
            ticket = write.Ticket;
            if (write.Snapshot is not null)
            {
                _hash = write.SnapshotHash;
            }
        }

        if (ticket != 0)
        {
            Group!.Persisted(ticket);
        }
    }

    /// <summary>The state machine makes what it has applied durable, and the log is cut.</summary>
    public void Checkpoint(bool compact, ulong keepEntries)
    {
        RaftGroup group = Group!;
        if (group.AppliedIndex > _diskLog.LastIndex || group.PersistedIndex < group.AppliedIndex)
        {
            return;
        }

        _diskApplied = group.AppliedIndex;
        _diskHash = _hash;
        _diskMembership = group.MembershipAt(_diskApplied);
        _diskMembershipIndex = _diskApplied;
        if (compact && _diskApplied.Value > keepEntries)
        {
            LogIndex to = new(_diskApplied.Value - keepEntries);
            if (to <= group.CompactedIndex)
            {
                return;
            }

            group.Compact(to);
            _diskLog.Compact(to);
            Log.RemoveRange(0, (int)(to.Value - LogCompacted.Value));
            LogCompacted = to;
        }
    }

    private void Persist(Write write)
    {
        if (write.Snapshot is { } snapshot)
        {
            _diskLog.Reset(snapshot.Index, snapshot.IndexTerm);
            _diskMembership = snapshot.Membership;
            _diskMembershipIndex = snapshot.Index;
            _diskApplied = snapshot.Index;
            _diskHash = write.SnapshotHash;
        }

        _diskLog.Append(write.TruncateFrom, write.Entries);
        if (write.HardState is { } hardState)
        {
            _diskHardState = hardState;
        }
    }

    private static ulong Mix(ulong hash, in Entry entry)
    {
        hash = XxHash64.HashToUInt64(entry.Data.Span, unchecked((long)(hash ^ entry.Term.Value)));
        return (hash * 31) + entry.Index.Value;
    }
}
