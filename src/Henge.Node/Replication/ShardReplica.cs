using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Log;
using Henge.Node.Moves;
using Henge.Node.StateMachine;
using Henge.Node.Workers;
using Henge.Raft;
using EntryKind = Henge.Raft.EntryKind;

namespace Henge.Node.Replication;

/// <summary>
/// One shard on this node: its Raft group, its state machine, and what waits for either. Belongs to a worker, which alone calls it, except
/// for <see cref="Leader"/>, <see cref="Term"/>, <see cref="AppliedVersion"/> and <see cref="Status"/>.
/// </summary>
internal sealed partial class ShardReplica : IHostedReplica, IMovableShard
{
    private const int MaxRoundsAtOnce = 32;
    private const int HeldTicks = 50;
    private const int DamagedTicks = 50;
    private readonly RaftGroup _group;
    private readonly ShardLog _log;
    private readonly ShardStateMachine _machine;
    private readonly WriteQueue _writes;
    private readonly ShardReads _reads;
    private readonly VersionWaiters _versions;
    private readonly PipelinedReads _pipelined;
    private readonly List<Entry> _toApply = [];
    private readonly ShardStatusPublisher _status;
    private readonly LogCompactor _compactor;
    private readonly SnapshotSender _sender;
    private readonly SnapshotReceiver _receiver;
    private readonly ExpiryDriver _expiry;
    private readonly LeaderUpkeep _leadership;
    private readonly ElectionTimer _election;
    private readonly FollowingPublisher _following;
    private readonly ReplicaPersist _persist;
    private readonly ShardHost _host;
    private readonly ShardRemains _remains;
    private readonly MembershipInquiry _inquiry;
    private readonly NodeId _founder;
    private readonly ShardMover _mover;

    // What the group has handed out and could not be done yet: it has a snapshot, and the disk is full. Until there is room the replica
    // stands still, as if its node did.
    private Ready? _held;
    private bool _mayRetryHeld;

    // The same for a snapshot that takes the place of a damaged state.
    private InstallSnapshot? _heldRebuild;
    private bool _damageNoticed;
    private bool _mayLead;
    private ulong _leader;
    private ulong _term;
    private ulong _appliedVersion;
    private bool _serves;

    /// <summary>Restores a replica from the engine and the node log, or makes one that has nothing yet.</summary>
    public ShardReplica(
        Worker worker,
        NodeContext node,
        ShardHost host,
        ShardRemains remains,
        ShardStateMachine machine,
        FoundingReplicas founders)
    {
        Worker = worker;
        Node = node;
        Shard = remains.Shard;
        _founder = founders.Preferred;
        _host = host;
        _remains = remains;
        _log = remains.Log;
        _machine = machine;
        var random = new SplitMix64Random(NextSeed(node, remains));
        var firstPass = new VersionScan(_log);
        _group = new RaftGroup(
            RaftSettings.Of(node, founders.InOrder, worker.Log.MaxEntryBytes),
            firstPass,
            new RestoredState
            {
                HardState = remains.HardState,
                Membership = _log.CompactedMembership ?? founders.Membership,
                MembershipIndex = _log.CompactedIndex,
                Applied = machine.AppliedIndex,
                Forgotten = remains.Forgotten,
                Clock = worker.ClockTicks,
            },
            random);
        Core.Version lastVersion = firstPass.LastVersion > machine.LastVersion ? firstPass.LastVersion : machine.LastVersion;
        _writes = new WriteQueue(this, _group, remains.Remote, lastVersion);
        _versions = new VersionWaiters(this);
        _reads = new ShardReads(this, _group, machine, _versions);
        _pipelined = new PipelinedReads(worker, node, _writes.Order);
        _status = new ShardStatusPublisher(this, _group);
        _compactor = new LogCompactor(this, _group, _log);
        _sender = new SnapshotSender(this, _group, machine);
        _receiver = new SnapshotReceiver(this, machine);
        _persist = new ReplicaPersist(this, _writes, _receiver, machine, remains.HardState);
        _expiry = new ExpiryDriver(this, machine);
        _leadership = new LeaderUpkeep(this, _group);
        _election = new ElectionTimer(node, worker.Elections, _group);
        _following = new FollowingPublisher(this, _group);
        _inquiry = new MembershipInquiry(this, _group, random);
        _mover = new ShardMover(this);
        _appliedVersion = machine.LastVersion.Value;
        _term = _group.Term.Value;
        TermAtStart = remains.TermAtStart;
        machine.Withhold(!IsRecentEnough);
    }

    /// <summary>Which shard.</summary>
    public ShardId Shard { get; }

    /// <summary>The worker that it belongs to.</summary>
    public Worker Worker { get; }

    /// <summary>The node that it belongs to.</summary>
    public NodeContext Node { get; }

    /// <summary>For the worker: it is in the list of those to look after.</summary>
    public bool IsDirty { get; set; }

    /// <summary>Its group, for tests and status.</summary>
    public RaftGroup Group => _group;

    /// <inheritdoc/>
    public Term TermAtStart { get; }

    /// <summary>Its state machine.</summary>
    public ShardStateMachine Machine => _machine;

    /// <summary>The leader that it knows of. Thread-safe.</summary>
    public NodeId Leader => new(Volatile.Read(ref _leader));

    /// <summary>Its term. Thread-safe.</summary>
    public Term Term => new(Volatile.Read(ref _term));

    /// <summary>The version last applied. Thread-safe.</summary>
    public Core.Version AppliedVersion => new(Volatile.Read(ref _appliedVersion));

    /// <summary>Why it does not serve; null when it does.</summary>
    public string? Problem =>
        !IsHeld
            ? DamageProblem
            : "The disk is full, so that the shard's state cannot be taken in from its leader. Make room; the node goes on by itself.";

    // A replica that began late serves nothing before it has applied the membership that took it in: all that was acknowledged, and all
    // that an earlier replica of this node was sure of, lies before that.
    private bool IsRecentEnough => _group.MembershipAt(_machine.AppliedIndex).IsMember(Node.Self)
        && !_group.Forgotten.IsAheadOf(_machine.AppliedIndex, _group.TermAt(_machine.AppliedIndex) ?? Term.Zero);

    private bool IsHeld => _held is not null || _heldRebuild is not null;

    /// <summary>Its state a moment ago. Thread-safe.</summary>
    public ShardStatus Status => _status.Latest;

    /// <summary>The term of the entry that is being applied.</summary>
    public Term ApplyingTerm { get; private set; }

    /// <summary>Term and vote as last handed to the log.</summary>
    public HardState HardState => _persist.HardState with { Commit = _group.DurableCommitIndex };

    /// <summary>Ticks since the group was made, by a clock read now.</summary>
    public ulong NowTicks => Node.NowTicks;

    /// <summary>The first segment of the node log that has an entry of this shard. Thread-safe.</summary>
    public long OldestLogSegment => _log.OldestSegment;

    /// <summary>The highest version in the log.</summary>
    public Core.Version LastLoggedVersion => _writes.LastLoggedVersion;

    /// <summary>The address of the leader when it is known and another node.</summary>
    public string? LeaderAddress => _group.Leader.IsNone || _group.Leader == Node.Self ? null : Node.AddressOf(_group.Leader);

    /// <inheritdoc/>
    public override string ToString() =>
        $"{Shard} {_group.Role} t{_group.Term} l{_group.Leader} [{_group.CompactedIndex}..{_group.LastIndex}] p{_group.PersistedIndex} "
            + $"c{_group.CommitIndex} a{_group.AppliedIndex}, sends {_sender}, receives {_receiver}";

    /// <summary>True when it is being dropped: nothing that comes to it does anything any more.</summary>
    public bool IsClosed { get; private set; }

    /// <summary>The node that should lead: where the catalog has it, else the ring.</summary>
    public NodeId Preferred => Node.Followed is { } placement && !Shard.IsCatalog ? placement.ReplicasOf(Shard)[0] : _founder;

    /// <inheritdoc/>
    public bool LeadsIn(Term term) => _group.Role == RaftRole.Leader && _group.Term == term;

    /// <summary>
    /// True when operations are served here: a replica that has begun late, or has left its shard and is still here, leaves them to others.
    /// Thread-safe.
    /// </summary>
    public bool Serves => Volatile.Read(ref _serves);

    /// <summary>
    /// True when writes wait here: what waits already goes out before what comes now, also when others serve the shard by now.
    /// </summary>
    public bool TakesWrites => _serves || !_writes.IsEmpty;

    /// <summary>Begins to take part.</summary>
    public void Begin()
    {
        _mayLead = MayLead;
        if (_mayLead && Preferred == Node.Self)
        {
            StandForElection();
        }

        PublishPlace();
        Worker.MarkDirty(this);
    }

    /// <summary>Stands for election now, if it hears no leader.</summary>
    public void StandForElection()
    {
        _election.Stand((long)Worker.ClockTicks);
        Worker.MarkDirty(this);
    }

    /// <summary>Takes an operation in.</summary>
    public void Add(Operation operation)
    {
        if (!(operation.Kind == OperationKind.Write ? TakesWrites : _serves))
        {
            _remains.Remote.Add(operation);
            return;
        }

        if (operation.Kind != OperationKind.Write)
        {
            _load.Add(1);
        }

        if (operation.Kind == OperationKind.Write)
        {
            if (operation.LeaderOnly && _group.Role != RaftRole.Leader && !_group.Leader.IsNone)
            {
                FailNotLeader(operation);
                return;
            }

            _writes.Add(operation);
        }
        else if (!_pipelined.TryHold(operation))
        {
            _reads.Add(operation);
        }

        Worker.MarkDirty(this);
    }

    /// <summary>Takes a write over that waited for a replica elsewhere. It has its place already.</summary>
    public void TakeOver(Operation write)
    {
        if (write.LeaderOnly && _group.Role != RaftRole.Leader && !_group.Leader.IsNone)
        {
            _writes.Refuse(write);
            return;
        }

        _writes.TakeOver(write);
        Worker.MarkDirty(this);
    }

    /// <summary>Takes a write back, at its place, that was sent to a leader elsewhere and has come back in time.</summary>
    public void TakeBack(Operation write)
    {
        _writes.TakeBack(write);
        Worker.MarkDirty(this);
    }

    /// <summary>Fails an operation that wanted the leader.</summary>
    public void FailNotLeader(Operation operation) =>
        Worker.Fail(
            operation,
            ErrorCode.NotLeader,
            $"This node does not lead {Shard}; "
                + $"{(LeaderAddress is { } address ? "its leader is at " + address : "its leader is not known yet")}.",
            LeaderAddress);

    /// <summary>A read may be served now: everything acknowledged before it came is applied.</summary>
    public void OnReadable(Operation operation) => _reads.OnReadable(operation);

    /// <summary>A snapshot lies on disk from before the start; it goes once the engine holds its contents durably.</summary>
    public void OnSnapshotFound(LogIndex index) => _receiver.Found(index);

    /// <summary>Proposes commands of the node's own, when it leads; they are not answered.</summary>
    public bool TryPropose(EntryBuilder entry) => _writes.TryPropose(entry);

    /// <summary>Hands leadership over. Null when that has begun, else why not.</summary>
    public string? TransferLeadership(NodeId to)
    {
        if (_leadership.IsDamaged(to))
        {
            return $"a part of the state of {Shard} is damaged on {to}, which is being rebuilt";
        }

        TransferStatus status = _group.TransferLeadership(to);
        Worker.MarkDirty(this);
        return status switch
        {
            TransferStatus.Started or TransferStatus.AlreadyLeader => null,
            TransferStatus.NotLeader => $"this node does not lead {Shard}",
            TransferStatus.NotAVoter => $"{to} has no vote in {Shard}",
            _ => $"{Shard} is being handed over already",
        };
    }

    /// <summary>Proposes who shall vote and who shall learn.</summary>
    public MembershipStatus ChangeMembership(IReadOnlyList<NodeId> voters, IReadOnlyList<NodeId> learners)
    {
        // A node that was alone has judged by its clock what has expired. Whoever serves reads by the new membership must not go back
        // behind that.
        if (_group.Role == RaftRole.Leader && _reads.JudgedBy > _machine.LastVersion)
        {
            // However far ahead that is: its clock may be overruled by now, and reads by it have been answered.
            _writes.AdvanceTo(_reads.JudgedBy);
            Worker.MarkDirty(this);
            return MembershipStatus.LeaderNotReady;
        }

        MembershipResult result = _group.ProposeMembership(voters, learners);
        if (result.IsAccepted)
        {
            Node.Events?.MembershipChangeProposed(Shard, voters, learners);
            _status.MarkChanged();
        }

        Worker.MarkDirty(this);
        return result.Status;
    }

    /// <summary>Nobody counts on this replica any more, as the leader of a term has said by a membership: it goes.</summary>
    public void Drop(NodeId leader, Term term, LogIndex index, Membership membership) =>
        _host.Drop(this, leader, term, index, membership);

    /// <summary>
    /// Ends the replica for good: reads of it that are under way fail, what waits fails, and nothing that comes later does anything.
    /// Returns what stays of it.
    /// </summary>
    public ShardRemains Close(HardState state, ForgottenLog forgotten)
    {
        IsClosed = true;
        // First, so that whoever finds that something of it is gone finds out why.
        _machine.Feed.Close();
        _machine.Withhold(true);
        _following.Withdraw();
        UpdateServing();
        LeaveRest();
        _sender.Stop();
        _receiver.Stop();
        _toApply.Clear();
        (_held, _heldRebuild) = (null, null);
        return _remains with { HardState = state, Forgotten = forgotten };
    }

    /// <summary>Fails everything that waits.</summary>
    public void Stop()
    {
        _remains.Remote.Stop();
        FailAll(ErrorCode.Stopping, "The node is stopping.");
    }

    /// <inheritdoc/>
    public void OnPlaceChanged()
    {
        UpdateServing();
        _remains.Remote.OnPlaceChanged();
    }

    /// <summary>Looks whether operations are to be served here.</summary>
    public void UpdateServing()
    {
        bool serves = !IsClosed
            && (Shard.IsCatalog
                || (!_machine.IsWithheld && _group.Membership.IsMember(Node.Self) && Node.Directory.PlaceOf(Shard).Has(Node.Self)));
        if (serves == _serves)
        {
            return;
        }

        Volatile.Write(ref _serves, serves);
        _host.OnServing(this);
        if (serves)
        {
            _remains.Remote.HandOver(this);
        }
    }

    // What waits here is served elsewhere; what other nodes have sent here, they send there.
    private void LeaveRest()
    {
        OperationList rest = default, writes = _writes.TakeWaiting(
            "The replica that this node had of the shard is being removed. The write was under way; it may or may not have been done.");
        while (writes.TakeFirst() is { } write)
        {
            _remains.Remote.TakeOver(write);
        }

        foreach (OperationList reads in (OperationList[])[_pipelined.TakeAll(), _reads.TakeAll(), _versions.TakeAll()])
        {
            OperationList some = reads;
            rest.AddAll(ref some);
        }

        while (rest.TakeFirst() is { } operation)
        {
            _remains.Remote.Add(operation);
        }
    }

    private void FailAll(ErrorCode error, string message)
    {
        _writes.FailAll(error, message);
        OperationList pipelined = _pipelined.TakeAll();
        while (pipelined.TakeFirst() is { } read)
        {
            Worker.Fail(read, error, message);
        }

        _reads.FailAll(error, message);
        _versions.FailAll(error, message);
        _sender.Stop();
        _receiver.Stop();
    }

    private void StartPipelinedReads()
    {
        OperationList ready = _pipelined.TakeReady();
        while (ready.TakeFirst() is { } read)
        {
            _reads.Add(read);
        }
    }

    // Another one for each replica that the node has of a shard in its life.
    private static ulong NextSeed(NodeContext node, ShardRemains remains) =>
        node.Environment.Seed ^ (((ulong)remains.Shard.Value + 1) * 0x9E37_79B9_7F4A_7C15)
            ^ (remains.Forgotten.Index.Value * 0xD1B5_4A32_D192_ED03) ^ (remains.Forgotten.Term.Value << 40);

    // A shard that was never written to has no version, and a watch could not say where in it it stands (WatchService). So the first leader
    // writes an entry without commands.
    private void BeginHistory()
    {
        if (LastLoggedVersion.IsZero && !Shard.IsCatalog && Node.Clock is { IsKnown: true, IsContested: false })
        {
            TryAdvance(Node.Clock.Now, out _);
        }
    }

    private void OnRoleChanged()
    {
        _election.OnRole(_group.Role);
        _writes.Release();
        _reads.Release();
        bool changed = _leader != _group.Leader.Value || _term != _group.Term.Value;
        bool hasLed = _leader == Node.Self.Value;
        Volatile.Write(ref _leader, _group.Leader.Value);
        Volatile.Write(ref _term, _group.Term.Value);
        if (changed)
        {
            Node.Counters.OnLeaderChanged();
            if (_group.Role == RaftRole.Leader)
            {
                Node.Counters.OnElectionWon();
            }

            TellLeadership(hasLed);
            if (Shard.IsCatalog)
            {
                Node.LeadershipChanged?.Invoke();
            }
            else
            {
                PublishPlace();
            }

            if (_machine.Damage is not null)
            {
                // At once: a leader that does not know of the damage might hand leadership back to where it belongs when all is well,
                // before the next request was due.
                AskForState();
            }
        }
    }

    // Who leads the shard and who has replicas of it, for whoever looks for it.
    private void PublishPlace()
    {
        if (Shard.IsCatalog)
        {
            return;
        }

        Membership membership = _group.Membership;
        Node.Directory.Publish(new ShardPlace
        {
            Shard = Shard,
            Term = _group.Term,
            Leader = _group.Leader,
            MembershipTerm = _group.Leader.IsNone ? default : _group.Term,
            MembershipIndex = _group.MembershipIndex,

            // One that begins late has a membership that was long ago.
            Voters = _machine.IsWithheld ? []
                : membership.IsJoint ? [.. membership.Voters.Union(membership.OutgoingVoters)]
                : membership.Voters,
            Learners = membership.Learners,
        });
        UpdateServing();
    }

    private void TellLeadership(bool hasLed)
    {
        if (_group.Role == RaftRole.Leader)
        {
            Node.Events?.LeadershipGained(Shard, _group.Term);
        }
        else if (hasLed)
        {
            Node.Events?.LeadershipLost(Shard, _group.Term, Node.NameOf(_group.Leader));
        }
        else if (Node.NameOf(_group.Leader) is { } leader)
        {
            Node.Events?.LeaderChanged(Shard, _group.Term, leader);
        }
    }
}
