using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Hosting;
using Henge.Node.Log;
using Henge.Node.Peers;
using Henge.Node.StateMachine;
using Henge.Node.Workers;
using Henge.Raft;
using Henge.Storage;
using EntryKind = Henge.Raft.EntryKind;

namespace Henge.Node.Replication;

/// <summary>
/// One shard on this node: its Raft group, its state machine, and what waits for either. Belongs to a worker, which alone calls it, except for
/// <see cref="Leader"/>, <see cref="Term"/>, <see cref="AppliedVersion"/> and <see cref="Status"/>.
/// </summary>
internal sealed class ShardReplica
{
    private const int MaxRoundsAtOnce = 32;
    private const int HeldTicks = 50;
    private const int DamagedTicks = 50;
    private readonly RaftGroup _group;
    private readonly ShardLog _log;
    private readonly ShardStateMachine _machine;
    private readonly WriteQueue _writes;
    private readonly ReadQueue _reads;
    private readonly VersionWaiters _versions;
    private readonly ReadAdmission _admission;
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

    // What the group has handed out and could not be done yet: it has a snapshot, and the disk is full. Until there is room the replica stands still, as if its node did.
    private Ready? _held;
    private bool _mayTryHeld;

    // The same for a snapshot that takes the place of a damaged state.
    private InstallSnapshot? _heldRebuild;
    private bool _damageNoticed;
    private ulong _leader;
    private ulong _term;
    private ulong _appliedVersion;

    /// <summary>Restores a replica from the engine and the node log.</summary>
    public ShardReplica(Worker worker, NodeContext node, ShardId shard, ShardLogReplay replay, ShardStateMachine machine, IReadOnlyList<NodeId> replicas)
    {
        Worker = worker;
        Node = node;
        Shard = shard;
        _log = replay.Log;
        _machine = machine;
        var firstPass = new VersionScan(_log);
        _group = new RaftGroup(
            RaftSettings.Of(node, replicas),
            firstPass,
            new RestoredState
            {
                HardState = replay.HardState,
                Membership = _log.CompactedMembership ?? new Membership(replicas),
                MembershipIndex = _log.CompactedIndex,
                Applied = machine.AppliedIndex,
            },
            new SplitMix64Random(node.Environment.Seed ^ (((ulong)shard.Value + 1) * 0x9E37_79B9_7F4A_7C15)));
        Core.Version lastVersion = firstPass.LastVersion > machine.LastVersion ? firstPass.LastVersion : machine.LastVersion;
        _writes = new WriteQueue(this, _group, lastVersion);
        _reads = new ReadQueue(this, _group);
        _versions = new VersionWaiters(this);
        _admission = new ReadAdmission(this, machine, _reads, _versions);
        _pipelined = new PipelinedReads(this, _writes.Order, _admission);
        _status = new ShardStatusPublisher(this, _group);
        _compactor = new LogCompactor(this, _group, _log);
        _sender = new SnapshotSender(this, _group, machine);
        _receiver = new SnapshotReceiver(this, machine);
        _persist = new ReplicaPersist(this, _writes, _receiver, machine, replay.HardState);
        _expiry = new ExpiryDriver(this, machine);
        _leadership = new LeaderUpkeep(this, _group);
        _election = new ElectionTimer(node);
        _following = new FollowingPublisher(this, _group);
        _appliedVersion = machine.LastVersion.Value;
        _term = _group.Term.Value;
        TermAtStart = _group.Term;
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

    /// <summary>Its term when the node started: in no later one has it led before.</summary>
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
    public string? Problem => !IsHeld ? DamageProblem : "The disk is full, so that the shard's state cannot be taken in from its leader. Make room; the node goes on by itself.";

    private bool IsHeld => _held is not null || _heldRebuild is not null;

    private string? DamageProblem => _machine.Damage is { } damage
        ? $"A part of its state is damaged on this node's disk. What is damaged is refused, what is not is served, and nothing was deleted; where other members can lead, they do, and this one is rebuilt from its leader. {damage}" : null;

    /// <summary>Its state a moment ago. Thread-safe.</summary>
    public ShardStatus Status => _status.Latest;

    /// <summary>The term of the entry that is being applied.</summary>
    public Term ApplyingTerm { get; private set; }

    /// <summary>Term and vote as last handed to the log.</summary>
    public HardState HardState => _persist.HardState with { Commit = _group.DurableCommitIndex };

    /// <summary>Ticks since the group was made, by a clock read now.</summary>
    public ulong NowTicks => Node.NowTicks;

    /// <summary>True while committed entries wait for the engine.</summary>
    public bool IsApplyHeld => _toApply.Count > 0;

    /// <summary>The first segment of the node log that has an entry of this shard. Thread-safe.</summary>
    public long OldestLogSegment => _log.OldestSegment;

    /// <summary>The highest version in the log.</summary>
    public Core.Version LastLoggedVersion => _writes.LastLoggedVersion;

    /// <summary>The address of the leader when it is known and another node.</summary>
    public string? LeaderAddress => _group.Leader.IsNone || _group.Leader == Node.Self ? null : Node.AddressOf(_group.Leader);

    /// <inheritdoc/>
    public override string ToString() =>
        $"{Shard} {_group.Role} t{_group.Term} l{_group.Leader} [{_group.CompactedIndex}..{_group.LastIndex}] p{_group.PersistedIndex} c{_group.CommitIndex} a{_group.AppliedIndex}, sends {_sender}, receives {_receiver}";

    /// <summary>The node on which the ring would have the leader.</summary>
    public NodeId Preferred { get; init; }

    /// <summary>Begins to take part.</summary>
    public void Begin()
    {
        if (Preferred == Node.Self)
        {
            StandForElection();
        }

        Worker.MarkDirty(this);
    }

    /// <summary>Stands for election now, if it hears no leader.</summary>
    public void StandForElection()
    {
        _group.Campaign();
        Worker.MarkDirty(this);
    }

    /// <summary>Takes an operation in.</summary>
    public void Add(Operation operation)
    {
        if (operation.Kind == OperationKind.Write)
        {
            if (operation.LeaderOnly && _group.Role != RaftRole.Leader && !_group.Leader.IsNone)
            {
                FailNotLeader(operation);
                return;
            }

            _writes.Add(operation);
        }
        else
        {
            _pipelined.Add(operation);
        }

        Worker.MarkDirty(this);
    }

    /// <summary>A write that was sent to a leader comes back: certainly nothing of it was done.</summary>
    public void OnHandedBack(Operation operation, ulong sending)
    {
        _writes.OnHandedBack(operation, sending);
        Worker.MarkDirty(this);
    }

    /// <summary>A write that was sent to a leader ends in another way; tell its caller after this.</summary>
    public void OnForwardEnded(Operation operation, ulong sending)
    {
        _writes.OnForwardEnded(operation, sending);
        Worker.MarkDirty(this);
    }

    /// <summary>Fails an operation that wanted the leader.</summary>
    public void FailNotLeader(Operation operation) => Worker.Fail(
        operation, ErrorCode.NotLeader, $"This node does not lead {Shard}; {(LeaderAddress is { } address ? "its leader is at " + address : "its leader is not known yet")}.", LeaderAddress);

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

        _group.SetClock(Worker.ClockTicks);
        _group.Receive(message);
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
            _receiver.OnChunk(from, body);
        }
        else
        {
            _sender.OnAck(from, body.Span);
        }

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

    /// <summary>Takes a complete snapshot: in place of the damaged state alone when the log goes on from it, else as the group wants it.</summary>
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

    /// <summary>Another node asks that history be closed at a version. One that lies too far ahead is refused, so that no other clock can drag this shard's versions along (docs/decisions/0133).</summary>
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

    /// <summary>A record that it gave to the node log is durable.</summary>
    public void OnLogged(in NodeLogRecord record, in EntryLocation location)
    {
        switch (record.Kind)
        {
            case NodeLogRecordKind.Entry:
                Invariant.Check(_log.Add(record.Entry.Index, location), "entries are written without a gap");
                break;
            case NodeLogRecordKind.Moved:
                _log.Move(record.Entry.Index, location);
                _compactor.OnLogged();
                break;
            case NodeLogRecordKind.Truncate:
                _log.Truncate(record.Index);
                break;
            case NodeLogRecordKind.Base when record.Reset:
                _log.Reset(record.Index, record.Term, record.Membership!);
                break;
            case NodeLogRecordKind.Base:
                _log.Compact(record.Index, record.Term, record.Membership!);
                _compactor.OnLogged();
                break;
        }
    }

    /// <summary>Everything up to a ticket is durable.</summary>
    public void OnPersisted(ulong ticket)
    {
        _group.Persisted(ticket);
        Worker.MarkDirty(this);
    }

    /// <summary>A tick of time has passed.</summary>
    public void Tick(long tick)
    {
        if (!IsHeld)
        {
            _group.SetClock(Worker.ClockTicks);
            _group.Tick();
        }

        _writes.Release();
        _reads.Release();
        if (!_writes.IsEmpty)
        {
            _writes.Expire(Worker.NowMs);
        }

        if (!_reads.IsEmpty)
        {
            _reads.Expire(Worker.NowMs);
        }

        _pipelined.Expire(Worker.NowMs);

        _versions.Tick(Worker.NowMs);
        if (IsHeld)
        {
            _status.Tick(tick);
            if (tick % HeldTicks == 0)
            {
                _mayTryHeld = true;
                Worker.MarkDirty(this);
            }

            return;
        }

        _sender.Tick();
        _receiver.Tick();
        NoticeDamage();
        AskForState(tick);
        if (_group.Role == RaftRole.Leader)
        {
            // The index by expiry may be what is damaged. What has expired stays invisible; whoever leads next deletes it.
            if (_machine.Damage is null)
            {
                _expiry.Tick(tick);
            }

            _leadership.Tick(tick);
        }

        _compactor.Tick(tick);
        _status.Tick(tick);
        if (_group.HasReady || !_writes.IsEmpty || _reads.CanStart || _toApply.Count > 0)
        {
            Worker.MarkDirty(this);
        }
    }

    /// <summary>Does what there is to do.</summary>
    public void Process()
    {
        if (_heldRebuild is { } rebuild && (!_mayTryHeld || !Rebuild(rebuild)))
        {
            return;
        }

        if (_held is { } held)
        {
            if (!_mayTryHeld || !Finish(held))
            {
                return;
            }
        }

        for (int i = 0; i < MaxRoundsAtOnce; i++)
        {
            _writes.Start();
            _pipelined.Serve();
            _reads.Start();
            ApplyWaiting();
            if (!_group.HasReady)
            {
                return;
            }

            if (!Handle(_group.TakeReady()))
            {
                return;
            }
        }

        Worker.MarkDirty(this);
    }

    /// <summary>The state came from another node: nothing that waited to be applied is to be applied any more.</summary>
    public void OnInstalled()
    {
        _toApply.Clear();
        PublishApplied();
    }

    /// <summary>A read may be served now: everything acknowledged before it came is applied.</summary>
    public void OnReadable(Operation operation) => _admission.OnReadable(operation);

    /// <summary>A snapshot lies on disk from before the start; it goes once the engine holds its contents durably.</summary>
    public void OnSnapshotFound(LogIndex index) => _receiver.Found(index);

    /// <summary>Proposes commands of the node's own, when it leads; they are not answered.</summary>
    public bool TryPropose(EntryBuilder entry) => _writes.TryPropose(entry);

    /// <summary>Hands leadership over. Null when that has begun, else why not.</summary>
    public string? TransferLeadership(NodeId to)
    {
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
        MembershipResult result = _group.ProposeMembership(voters, learners);
        if (result.IsAccepted)
        {
            Node.Note(NodeEventLevel.Information, $"The members of {Shard} change to {_group.Membership}.");
            _status.MarkChanged();
        }

        Worker.MarkDirty(this);
        return result.Status;
    }

    /// <summary>Fails everything that waits.</summary>
    public void Stop()
    {
        const string Message = "The node is stopping.";
        _writes.FailAll(ErrorCode.Stopping, Message);
        _pipelined.FailAll(ErrorCode.Stopping, Message);
        _reads.FailAll(ErrorCode.Stopping, Message);
        _versions.FailAll(ErrorCode.Stopping, Message);
        _sender.Stop();
        _receiver.Stop();
    }

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

    private bool Handle(Ready ready)
    {
        // Before a message leaves that says anything of it.
        _following.Publish(ready.Membership is not null);
        if (ready.WantsHeartbeat)
        {
            Worker.Heartbeats.WantHeartbeat();
        }

        if (ready.WantsProof)
        {
            Worker.Heartbeats.WantProof(this);
        }

        foreach (RaftMessage message in ready.Messages)
        {
            Worker.Links.Send(Shard, message);
        }

        return Finish(ready);
    }

    // False when the disk has no room for the snapshot in it: then the rest waits as well.
    private bool Finish(Ready ready)
    {
        _mayTryHeld = false;
        if (ready.PersistTicket != 0 && !_persist.TryPersist(ready))
        {
            _held = ready;
            _status.MarkChanged();
            return false;
        }

        _held = null;

        if (ready.RoleChanged)
        {
            OnRoleChanged();
        }

        foreach (NodeId peer in ready.SnapshotsToSend)
        {
            _sender.Begin(peer);
        }

        foreach (ReadGrant grant in ready.ReadsGranted)
        {
            _reads.OnGranted(grant);
        }

        foreach (ulong failed in ready.ReadsFailed)
        {
            _reads.OnFailed(failed);
        }

        if (!ready.Committed.IsEmpty)
        {
            _toApply.AddRange(ready.Committed);
            ApplyWaiting();
        }

        _reads.Serve();
        _status.MarkChanged();
        return true;
    }

    // An engine that is too far behind would block the worker, and with it other shards: what is committed waits here instead, and Raft hands
    // out no more until it is applied.
    private void ApplyWaiting()
    {
        if (_toApply.Count == 0 || Node.Engine.Pressure == WritePressure.Stop || AwaitsState)
        {
            return;
        }

        foreach (Entry entry in _toApply)
        {
            ApplyingTerm = entry.Term;
            if (entry.Kind == EntryKind.Normal)
            {
                _machine.ApplyEntry(entry.Index, entry.Data.Span, _writes);
            }
            else
            {
                _machine.ApplyEmpty(entry.Index);
            }

            _writes.OnApplied(entry.Index, entry.Term);
        }

        LogIndex last = _toApply[^1].Index;
        _toApply.Clear();
        _machine.CommitBatch();
        PublishApplied();
        _group.Applied(last);
        _writes.Answer();
        _pipelined.Serve();
        _versions.Serve(_machine.LastVersion);
        _reads.Serve();
    }

    // What it would apply now, the state that is coming in has already, or it comes again after that.
    private bool AwaitsState => _machine.Damage is not null && _receiver.IsReceiving && _group.Role != RaftRole.Leader;

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

    private void PublishApplied() => Volatile.Write(ref _appliedVersion, _machine.LastVersion.Value);

    private void OnRoleChanged()
    {
        _election.OnRole(_group.Role);
        _writes.Release();
        _reads.Release();
        bool changed = _leader != _group.Leader.Value || _term != _group.Term.Value;
        Volatile.Write(ref _leader, _group.Leader.Value);
        Volatile.Write(ref _term, _group.Term.Value);
        if (changed)
        {
            Node.Counters.OnLeaderChanged();
            if (_group.Role == RaftRole.Leader)
            {
                Node.Counters.OnElectionWon();
            }

            Node.LeadershipChanged?.Invoke();
        }
    }
}
