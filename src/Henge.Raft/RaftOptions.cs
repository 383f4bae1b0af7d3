using Henge.Core;

namespace Henge.Raft;

/// <summary>
/// Settings of a group. Times are in ticks: how long a tick lasts is the caller's affair; 10 ms goes well with the defaults (150 to 300 ms
/// election timeout, heartbeats every 50 ms). Every member of a group should have the same settings; where one uses
/// <see cref="LeaseReads"/>, the same shortest election timeout it must.
/// </summary>
public sealed class RaftOptions
{
    /// <summary>Who this node is.</summary>
    public required NodeId Self { get; init; }

    /// <summary>
    /// The shortest election timeout, in ticks. It is also how long a follower that hears its leader refuses to help others to an election,
    /// and how often a leader checks that a majority still answers. Default 15.
    /// </summary>
    public int ElectionTimeoutMinTicks { get; init; } = 15;

    /// <summary>The longest election timeout, in ticks, inclusive; each is drawn anew between the two. Default 30.</summary>
    public int ElectionTimeoutMaxTicks { get; init; } = 30;

    /// <summary>
    /// Added to each election timeout that is drawn. Members of a group with different delays seldom run against each other, which would
    /// cost both of them another timeout. It changes nothing about votes. Default 0.
    /// </summary>
    public int ElectionDelayTicks { get; init; }

    /// <summary>
    /// Ticks between the heartbeats of a leader. Default 5. At most half of the shortest election timeout, so that one lost heartbeat does
    /// not cost a leader.
    /// </summary>
    public int HeartbeatTicks { get; init; } = 5;

    /// <summary>
    /// Send heartbeats at the ticks that <see cref="HeartbeatTicks"/> divides, in place of so many after the election: groups that are made
    /// and ticked together then send them together, and they can travel together. Default false.
    /// </summary>
    public bool AlignHeartbeats { get; init; }

    /// <summary>
    /// The caller sends heartbeats that many groups share, one for each pair of nodes (<see cref="Ready.WantsHeartbeat"/>,
    /// <see cref="Ready.WantsProof"/>): a peer that has everything and knows it is not sent one of the group's own, and reads are proven by
    /// the shared ones. Not together with <see cref="LeaseReads"/>. Default false.
    /// </summary>
    public bool SharedHeartbeats { get; init; }

    /// <summary>The most bytes of entries in one append message (one entry is always sent). Default 256 KiB.</summary>
    public long AppendLimitBytes { get; init; } = 256 * 1024;

    /// <summary>The most append messages on the way to one peer. Default 256.</summary>
    public int InflightLimitMessages { get; init; } = 256;

    /// <summary>The most bytes of entries on the way to one peer (one message is always let in). Default 8 MiB.</summary>
    public long InflightLimitBytes { get; init; } = 8 * 1024 * 1024;

    /// <summary>The most bytes of uncommitted proposals at a leader; one proposal is always let in. Default 32 MiB.</summary>
    public long UncommittedLimitBytes { get; init; } = 32 * 1024 * 1024;

    /// <summary>The most bytes of data in one entry. Default 16 MiB.</summary>
    public int EntryLimitBytes { get; init; } = 16 * 1024 * 1024;

    /// <summary>
    /// The most bytes of entries handed out to be applied in one <see cref="Ready"/> (one entry is always handed out). Default 4 MiB.
    /// </summary>
    public long ApplyLimitBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>
    /// How many bytes of entries that are persisted and applied stay in memory for followers that lag a little. Default 4 MiB.
    /// </summary>
    public long RecentEntriesLimitBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>
    /// The same for entries that, beside that, every member has that answers, or of which this node is not the leader: nobody is likely to
    /// ask for them. Small, because all that is kept for long is moved by the collector first (decision 0122). Default 64 KiB.
    /// </summary>
    public long SettledEntriesLimitBytes { get; init; } = 64 * 1024;

    /// <summary>The most reads that wait at one node for their index; more are failed at once. Default 65,536.</summary>
    public int PendingReadsLimit { get; init; } = 65_536;

    /// <summary>How far a learner may lie behind the commit index and still become a voter, in entries. Default 1,000.</summary>
    public ulong PromotionLagEntries { get; init; } = 1_000;

    /// <summary>
    /// The fewest ticks between the end of one snapshot that failed and the beginning of the next, to the same peer. Default 50.
    /// </summary>
    public int SnapshotRetryTicks { get; init; } = 50;

    /// <summary>
    /// Whether this node, when it leads, may grant reads by its lease (<see cref="RaftGroup.TryLeaseRead"/>), which trusts that clocks run
    /// at nearly the same speed. Off by default. Members may differ in it: every voter makes and keeps the promise that leases rest on,
    /// whatever its own setting is.
    /// </summary>
    public bool LeaseReads { get; init; }

    /// <summary>
    /// How many ticks the clocks of two nodes may drift apart during one shortest election timeout: the lease is shorter by this, and by
    /// two more ticks for rounding. Default 2, which with the default timeout of 15 ticks covers clocks that differ in speed by 13%.
    /// </summary>
    public int LeaseDriftTicks { get; init; } = 2;

    /// <summary>
    /// Whether an id that has left the group may come back. Safe only if the node still has its term, its vote and its log from before;
    /// otherwise it could vote twice in a term, or be credited with entries that it acknowledged and has lost. Off by default: ids are
    /// never used again (Raft thesis, section 4.4).
    /// </summary>
    public bool RemovedIdsMayReturn { get; init; }

    /// <summary>Deliberate bugs, for the simulator to prove that it would find them.</summary>
    internal RaftBugs Bugs { get; init; }

    /// <summary>
    /// Throws <see cref="HengeException"/> (<see cref="ErrorCode.InvalidArgument"/>) that names the first setting that makes no sense.
    /// </summary>
    public void Validate()
    {
        Require(!Self.IsNone, nameof(Self), "must not be 0");
        Require(HeartbeatTicks >= 1, nameof(HeartbeatTicks), "must be at least 1");
        Require(ElectionTimeoutMinTicks >= 2 * HeartbeatTicks, nameof(ElectionTimeoutMinTicks), "must be at least twice HeartbeatTicks");
        Require(
            ElectionTimeoutMaxTicks >= ElectionTimeoutMinTicks,
            nameof(ElectionTimeoutMaxTicks),
            "must be at least ElectionTimeoutMinTicks");
        Require(ElectionDelayTicks >= 0, nameof(ElectionDelayTicks), "must not be negative");
        Require(AppendLimitBytes >= 1, nameof(AppendLimitBytes), "must be at least 1");
        Require(InflightLimitMessages is >= 1 and <= 65_536, nameof(InflightLimitMessages), "must be between 1 and 65536");
        Require(InflightLimitBytes >= 1, nameof(InflightLimitBytes), "must be at least 1");
        Require(UncommittedLimitBytes >= 1, nameof(UncommittedLimitBytes), "must be at least 1");
        Require(
            EntryLimitBytes is >= 1 and <= RaftMessageCodec.MaxEntryBytes,
            nameof(EntryLimitBytes),
            $"must be between 1 and {RaftMessageCodec.MaxEntryBytes}");
        Require(ApplyLimitBytes >= 1, nameof(ApplyLimitBytes), "must be at least 1");
        Require(RecentEntriesLimitBytes >= 0, nameof(RecentEntriesLimitBytes), "must not be negative");
        Require(SettledEntriesLimitBytes >= 0, nameof(SettledEntriesLimitBytes), "must not be negative");
        Require(PendingReadsLimit >= 1, nameof(PendingReadsLimit), "must be at least 1");
        Require(SnapshotRetryTicks >= 0, nameof(SnapshotRetryTicks), "must not be negative");
        Require(
            Bugs == RaftBugs.None || PlantedBugs.AreAllowed,
            nameof(Bugs),
            $"may be set only where the runtime configuration has {PlantedBugs.SwitchName}");
        Require(LeaseDriftTicks >= 0, nameof(LeaseDriftTicks), "must not be negative");
        Require(
            !LeaseReads || !SharedHeartbeats,
            nameof(SharedHeartbeats),
            "cannot be on together with LeaseReads: a lease rests on a promise of the group's own");
        Require(
            !LeaseReads || ElectionTimeoutMinTicks > LeaseDriftTicks + 2,
            nameof(LeaseDriftTicks),
            "leaves no lease: it must be less than ElectionTimeoutMinTicks - 2");
    }

    private static void Require(bool condition, string setting, string what)
    {
        if (!condition)
        {
            throw new HengeException(ErrorCode.InvalidArgument, $"Raft option {setting} {what}.");
        }
    }
}
