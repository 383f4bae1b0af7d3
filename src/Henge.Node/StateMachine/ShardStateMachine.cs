using System.Buffers;
using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Context;
using Henge.Storage;

namespace Henge.Node.StateMachine;

/// <summary>
/// The state machine of one replica: applies committed entries to the engine, in log order. The same log gives the same state on every
/// replica, however entries are batched and wherever it is restarted. Only the shard's worker calls what writes; properties may be read on
/// any thread.
/// </summary>
/// <remarks>
/// Life: <see cref="Open"/> → go on from <see cref="AppliedIndex"/> + 1 with <see cref="ApplyEntry"/> or <see cref="ApplyEmpty"/> for each
/// index, without gap → <see cref="CommitBatch"/> after as many as fit → only then tell results. The engine must not be written to at this
/// shard's keyspaces by others.
/// </remarks>
internal sealed class ShardStateMachine
{
    internal const byte RecordFormat = 1;
    private const int MaxIdlePayloadBytes = 1024 * 1024;

    private readonly IStorageEngine _engine;
    private readonly HistoryWindow _history;
    private readonly PendingWrites _writes;
    private readonly CommandExecutor _executor;
    private readonly SessionTable _sessions;
    private readonly ExpiryIndex _expiry;
    private ArrayBufferWriter<byte> _payload = new();
    private ulong _appliedIndex;
    private ulong _lastVersion;
    private ulong _ownFloor;
    private int _state;
    private int _epoch;
    private LogIndex _batchIndex;
    private Core.Version _batchVersion;
    private string? _damage;
    private long _damagedReads;
    private bool _stopped;
    private bool _withheld;

    private ShardStateMachine(ShardId shard, IStorageEngine engine, HistoryWindow history, IWatchFeed feed, StateMachineOptions options)
    {
        Bugs = options.Bugs;
        Shard = shard;
        Feed = feed;
        _engine = engine;
        _history = history;
        _writes = new PendingWrites(engine, shard);
        _executor = new CommandExecutor(_writes)
        {
            KeepsEmptiedHashes = options.Bugs.KeepsEmptiedHash,
            IncrementsBelowBatch = options.Bugs.LosesHashDeltaInBatch,
            OverlooksDeletions = options.Bugs.OverlooksDeletionsInExec,
        };
        _sessions = new SessionTable(options.Sessions, _writes)
        {
            RepeatsAfterEnd = options.Bugs.RepeatsAfterSessionEnd,
            RepeatsForgottenFirst = options.Bugs.RepeatsForgottenFirst,
        };
        _expiry = new ExpiryIndex(engine, shard);
    }

    /// <summary>The shard.</summary>
    public ShardId Shard { get; }

    /// <summary>Where events go.</summary>
    public IWatchFeed Feed { get; }

    /// <summary>Whether it can serve.</summary>
    public MachineState State => (MachineState)Volatile.Read(ref _state);

    /// <summary>The last entry in the engine.</summary>
    public LogIndex AppliedIndex => new(Volatile.Read(ref _appliedIndex));

    /// <summary>The last version in the engine: everything at or below it is there, and nothing more will be written there.</summary>
    public Core.Version LastVersion => new(Volatile.Read(ref _lastVersion));

    /// <summary>
    /// Reads of this shard below this version are refused: the node's floor, or that of the snapshot from which the replica was built.
    /// </summary>
    public Core.Version HistoryFloor => new(Math.Max(_history.Floor.Value, Volatile.Read(ref _ownFloor)));

    /// <summary>True when it was made from a snapshot and has less history than the node keeps: other replicas may have more.</summary>
    public bool KeepsLess => Volatile.Read(ref _ownFloor) > _history.Floor.Value;

    /// <summary>
    /// The snapshot that was last installed; none by default. For a replica that was stopped between an install and the reset of its log.
    /// </summary>
    public SnapshotMeta InstalledSnapshot { get; private set; }

    /// <summary>True when entries wait for <see cref="CommitBatch"/>.</summary>
    public bool HasBatch { get; private set; }

    /// <summary>Nothing is due before this moment, in milliseconds since the epoch of versions; a lower bound.</summary>
    public long NextDueMs => _expiry.NextDueMs;

    /// <summary>
    /// What of its state could not be read, with file and offset; null when nothing is known to be damaged. It stays until the state is
    /// replaced. Thread-safe.
    /// </summary>
    public string? Damage => Volatile.Read(ref _damage);

    /// <summary>
    /// True when what the next entry reads is damaged: nothing more is applied until the state is replaced. What is in the engine is that
    /// of <see cref="AppliedIndex"/>, and may be read; sessions in memory are not to be looked at. Thread-safe.
    /// </summary>
    public bool IsStopped => Volatile.Read(ref _stopped);

    /// <summary>Reads that failed over damage. Thread-safe.</summary>
    public long DamagedReads => Interlocked.Read(ref _damagedReads);

    /// <summary>How many sessions there are.</summary>
    public int SessionCount => _sessions.Count;

    /// <summary>Deliberate bugs, for the simulator only.</summary>
    internal NodeBugs Bugs { get; }

    /// <summary>Changes whenever the state is replaced as a whole; odd while it is. Reads compare it before and after.</summary>
    internal int Epoch => Volatile.Read(ref _epoch) | (Volatile.Read(ref _withheld) ? 1 : 0);

    /// <summary>
    /// True while nothing of it is to be served although it may be whole: it is not yet as recent as its shard knows it to be, or it is
    /// being dropped. Thread-safe.
    /// </summary>
    public bool IsWithheld => Volatile.Read(ref _withheld);

    /// <summary>What is served, or not. On the worker.</summary>
    public void Withhold(bool withhold) => Volatile.Write(ref _withheld, withhold);

    internal IStorageEngine Engine => _engine;

    /// <summary>
    /// Opens the state machine over what the engine holds; when that is damaged, as <see cref="MachineState.Unreadable"/>. Throws
    /// <see cref="HengeException"/> (UnsupportedFormat).
    /// </summary>
    public static ShardStateMachine Open(
        ShardId shard,
        IStorageEngine engine,
        HistoryWindow history,
        IWatchFeed feed,
        StateMachineOptions options)
    {
        var machine = new ShardStateMachine(shard, engine, history, feed, options);
        try
        {
            machine.Restore();
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            machine.BecomeUnreadable(e);
        }

        return machine;
    }

    /// <summary>
    /// Adds a committed entry of commands to the batch (opened when none is). The index must be the next one. False when something that the
    /// entry reads is damaged on the disk: the batch is gone, with nothing of it in the engine, and the machine stands still
    /// (<see cref="IsStopped"/>). Throws <see cref="HengeException"/> (Corruption) for a payload that is not an entry: then the replica
    /// must stop serving. A command that cannot be decoded is a result, not an error.
    /// </summary>
    public bool ApplyEntry(LogIndex index, ReadOnlySpan<byte> payload, IApplyObserver? observer)
    {
        OpenBatch(index);
        if (!EntryReader.TryOpen(payload, out EntryReader entry))
        {
            if (EntryReader.IsBeyondRange(payload))
            {
                return true;
            }

            throw Damaged(index);
        }

        Invariant.Check(entry.BaseVersion > _batchVersion, "versions rise in log order");
        _sessions.EndIdle(entry.BaseVersion);
        _executor.Before = _batchVersion;
        while (entry.MoveNext())
        {
            try
            {
                ApplyCommand(index, entry, observer);
            }
            catch (HengeException e) when (e.Code == ErrorCode.Corruption)
            {
                if (!Bugs.AppliesPastDamage)
                {
                    Stop(e);
                    return false;
                }

                _writes.AbandonStage();
            }
        }

        if (entry.Damaged)
        {
            throw Damaged(index);
        }

        _batchVersion = entry.LastVersion;
        return true;
    }

    /// <summary>Adds an entry of Raft's own (an empty one, a configuration) to the batch: it only moves the index.</summary>
    public void ApplyEmpty(LogIndex index) => OpenBatch(index);

    /// <summary>
    /// Hands everything since the last call to the engine as one batch, then to the watchers. Does nothing without a batch.
    /// </summary>
    public void CommitBatch()
    {
        if (!HasBatch)
        {
            return;
        }

        _sessions.Flush();
        if (_batchVersion > LastVersion)
        {
            Span<byte> meta = stackalloc byte[9];
            WriteMeta(meta, _batchVersion);
            _writes.PutSystem(SystemKeys.Meta, meta, _batchVersion);
        }

        _writes.Batch.SetPosition(SystemKeys.Stream(Shard), _batchIndex.Value);
        _engine.Apply(_writes.Batch, sync: false);
        if (_writes.EarliestCheckMs != long.MaxValue)
        {
            _expiry.Added(_writes.EarliestCheckMs);
        }

        Volatile.Write(ref _lastVersion, _batchVersion.Value);
        Volatile.Write(ref _appliedIndex, _batchIndex.Value);
        Feed.Publish(_writes.Batch, _writes.ExpiredOffsets, _batchVersion);
        _writes.Clear();
        HasBatch = false;
    }

    /// <summary>
    /// Adds commands for keys whose time has come to an entry (for the leader to propose), and returns how many. To be asked again only
    /// after they were applied, or lost.
    /// </summary>
    /// <param name="nowMs">Milliseconds since the epoch of versions.</param>
    /// <param name="max">Most commands.</param>
    /// <param name="entry">The entry.</param>
    public int CollectDue(long nowMs, int max, EntryBuilder entry)
    {
        Invariant.Check(!HasBatch);
        return State == MachineState.Ready ? _expiry.Collect(nowMs, HistoryFloor, max, entry) : 0;
    }

    /// <summary>
    /// A hash over all that users can see at <see cref="LastVersion"/>, and over the sessions: equal on replicas that have applied the same
    /// entries. Reads everything; for simulators and checks.
    /// </summary>
    public ulong StateHash()
    {
        Invariant.Check(!HasBatch);
        var hasher = default(StateHasher);
        hasher.Add(LastVersion.Value);
        using EngineIterator entries = _engine.CreateIterator(new IteratorOptions
        {
            Keyspace = SystemKeys.UserKeyspace(Shard),
            Point = ReadPoint.AsOf(LastVersion),
        });
        for (entries.SeekToFirst(); entries.Valid; entries.Next())
        {
            hasher.Add(entries.Key);
            hasher.Add(entries.Value);
            hasher.Add(entries.Version.Value);
            hasher.Add((ulong)EntryHeader.Join(entries.Type, entries.ExpiresAtMs));
        }

        _sessions.AddTo(ref hasher);
        return hasher.Value;
    }

    /// <summary>
    /// A snapshot of the state at <see cref="AppliedIndex"/>, to be sent to another replica. Called on the worker, between batches; reading
    /// it may then happen anywhere.
    /// </summary>
    /// <param name="term">The term of the entry at <see cref="AppliedIndex"/>.</param>
    /// <param name="extra">The replica's own bytes, at most <see cref="SnapshotMeta.MaxExtraBytes"/>.</param>
    /// <param name="isMove">It is for a member that the shard moves to.</param>
    public ShardSnapshotReader CreateSnapshot(Term term, ReadOnlyMemory<byte> extra, bool isMove = false)
    {
        Invariant.Check(!HasBatch && State == MachineState.Ready && extra.Length <= SnapshotMeta.MaxExtraBytes);
        IEngineSnapshot snapshot = _engine.CreateSnapshot();

        // The floor after the snapshot: what compactions dropped before is below it for sure.
        return new ShardSnapshotReader(Shard, snapshot, new SnapshotMeta(AppliedIndex, term, extra), LastVersion, HistoryFloor)
        {
            WithoutSessions = Bugs.DropsSessionsFromSnapshot || (isMove && Bugs.ForgetsSessionsInMove),
            WithoutTypes = Bugs.DropsTypesFromSnapshot,
        };
    }

    /// <summary>A read found that a part of the state is damaged on the disk. Any thread.</summary>
    public void ReportDamage(HengeException damage)
    {
        Interlocked.Increment(ref _damagedReads);
        Interlocked.CompareExchange(ref _damage, damage.Message, null);
    }

    /// <summary>
    /// Begins to replace the state by a snapshot; the state stays as it is until the first chunk came. On the worker, between batches.
    /// </summary>
    public ShardSnapshotInstaller BeginInstall()
    {
        Invariant.Check(!HasBatch && State != MachineState.Installing);
        return new ShardSnapshotInstaller(this);
    }

    // What an entry comes to must be the same on all replicas, and here nobody can tell what that is. So nothing of the batch counts, and
    // nothing that comes later is applied without it.
    private void Stop(HengeException damage)
    {
        _writes.AbandonStage();
        _writes.Clear();
        HasBatch = false;
        Volatile.Write(ref _stopped, true);
        ReportDamage(damage);
    }

    // The engine knows up to which entry it holds the shard; no more has to be recorded.
    private void BecomeUnreadable(HengeException damage)
    {
        _sessions.Reset();
        _epoch |= 1;
        Volatile.Write(ref _state, (int)MachineState.Unreadable);
        Volatile.Write(ref _stopped, true);
        ReportDamage(damage);
    }

    internal void EnterInstall()
    {
        if ((_epoch & 1) == 0)
        {
            Interlocked.Increment(ref _epoch);
        }

        Volatile.Write(ref _state, (int)MachineState.Installing);
    }

    internal void AbortInstall() => Volatile.Write(ref _state, (int)MachineState.NeedsSnapshot);

    internal void LeaveInstall()
    {
        _sessions.Reset();
        Volatile.Write(ref _damage, null);
        Volatile.Write(ref _stopped, false);
        Volatile.Write(ref _state, (int)MachineState.Ready);
        try
        {
            Restore();
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            // It lies beside what was installed just now. Another installation may find that part gone.
            BecomeUnreadable(e);
            return;
        }

        Interlocked.Increment(ref _epoch);
        Invariant.Check((_epoch & 1) == 0);
    }

    // format u8 | floor u64 | index u64 | term u64 | extra
    internal void WriteInstalled(WriteBatch batch, in SnapshotMeta meta, Core.Version lastVersion, Core.Version floor)
    {
        var value = new byte[25 + meta.Extra.Length];
        value[0] = RecordFormat;
        BinaryPrimitives.WriteUInt64LittleEndian(value.AsSpan(1), floor.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(value.AsSpan(9), meta.Index.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(value.AsSpan(17), meta.Term.Value);
        meta.Extra.Span.CopyTo(value.AsSpan(25));
        batch.Put(SystemKeys.SystemKeyspace(Shard), SystemKeys.Snapshot, lastVersion, value);
        Span<byte> last = stackalloc byte[9];
        WriteMeta(last, lastVersion);
        batch.Put(SystemKeys.SystemKeyspace(Shard), SystemKeys.Meta, lastVersion, last);
    }

    private void OpenBatch(LogIndex index)
    {
        Invariant.Check(State == MachineState.Ready && !_stopped, "a replica applies only to a whole state");
        if (!HasBatch)
        {
            HasBatch = true;
            _batchIndex = AppliedIndex;
            _batchVersion = LastVersion;
        }

        Invariant.Check(index == _batchIndex.Next, "entries are applied in order, without gap");
        _batchIndex = index;
    }

    private void ApplyCommand(LogIndex index, scoped in EntryReader entry, IApplyObserver? observer)
    {
        CommandResult result;
        ReadOnlySpan<byte> payload = default;
        Core.Version version = entry.Version;

        // A command that is of a newer format than its entry was proposed by a leader that does not know it; replicas that are like it take
        // it for unknown.
        if (
            (entry.Format < EntryBuilder.Format && CommandView.NeedsFormat4(entry.Command))
            || !CommandView.TryRead(entry.Command, out CommandView view))
        {
            result = new CommandResult(CommandStatus.Failed, version, Problem: CommandProblem.UnknownCommand);
        }
        else if (view.IsPlainPut && view.Session.IsNone)
        {
            _writes.Put(view.Key, view.Value, version, 0);
            result = new CommandResult(CommandStatus.Ok, version);
        }
        else
        {
            result = Execute(view, version, out payload);
        }

        observer?.OnResult(index, entry.Index, result, payload);
    }

    private CommandResult Execute(scoped in CommandView view, Core.Version version, out ReadOnlySpan<byte> payload)
    {
        CommandResult result;
        bool forgets = Bugs.ForgetsSessions
            || (Bugs.RepeatsHashIncrements && view.Kind == CommandKind.HashIncrement);
        bool remembers = !view.Session.IsNone && !forgets;
        if (remembers)
        {
            switch (_sessions.Ask(view.Session, version, out result, out payload))
            {
                case SessionAnswer.Done:
                    return result;
                case SessionAnswer.Forgotten:
                    return new CommandResult(CommandStatus.Failed, version, Problem: CommandProblem.SequenceForgotten);
                case SessionAnswer.Full:
                    return new CommandResult(CommandStatus.Failed, version, Problem: CommandProblem.TooManySessions);
            }
        }

        if (_payload.Capacity > MaxIdlePayloadBytes)
        {
            _payload = new ArrayBufferWriter<byte>();
        }

        _payload.ResetWrittenCount();
        result = _executor.Execute(view, version, _payload);
        payload = _payload.WrittenSpan;
        bool isForgotten = Bugs.ForgetsVoidedNumbers && view.Kind == CommandKind.Txn && !result.Succeeded && payload.IsEmpty;
        if (remembers && !isForgotten)
        {
            _sessions.Record(view.Session, version, result, payload);
        }

        return result;
    }

    private void Restore()
    {
        _appliedIndex = _engine.GetPosition(SystemKeys.Stream(Shard));
        using (CurrentEntry marker = _writes.GetSystem(SystemKeys.Install))
        {
            if (marker.Exists)
            {
                _epoch = 1;
                Volatile.Write(ref _state, (int)MachineState.NeedsSnapshot);
                return;
            }
        }

        ReadRecords();
        _sessions.Load(_engine, Shard);
        _expiry.Reset();
        Feed.Reset(LastVersion);
    }

    private void ReadRecords()
    {
        using CurrentEntry meta = _writes.GetSystem(SystemKeys.Meta);
        using CurrentEntry snapshot = _writes.GetSystem(SystemKeys.Snapshot);
        if (meta.Exists)
        {
            var reader = new SpanReader(meta.Value);
            CheckFormat(reader.TryReadByte(out byte format) ? format : (byte)0);
            if (!reader.TryReadUInt64(out ulong lastVersion) || !reader.IsEmpty || lastVersion > Core.Version.MaxValue)
            {
                throw DamagedRecord();
            }

            _lastVersion = lastVersion;
        }

        if (snapshot.Exists)
        {
            var reader = new SpanReader(snapshot.Value);
            CheckFormat(reader.TryReadByte(out byte format) ? format : (byte)0);
            if (!reader.TryReadUInt64(out ulong floor) || !reader.TryReadUInt64(out ulong index) || !reader.TryReadUInt64(out ulong term)
                || floor > Core.Version.MaxValue)
            {
                throw DamagedRecord();
            }

            _ownFloor = floor;
            InstalledSnapshot = new SnapshotMeta(new LogIndex(index), new Term(term), reader.Rest.ToArray());
        }
    }

    private void CheckFormat(byte format)
    {
        if (format != RecordFormat)
        {
            throw new HengeException(
                ErrorCode.UnsupportedFormat,
                $"A record of shard {Shard} is of format {format}; this build knows {RecordFormat}. Use the build that wrote it, or a "
                    + $"newer one.");
        }
    }

    // format u8 | last version u64
    private static void WriteMeta(Span<byte> value, Core.Version version)
    {
        value[0] = RecordFormat;
        BinaryPrimitives.WriteUInt64LittleEndian(value[1..], version.Value);
    }

    private HengeException DamagedRecord() =>
        new(
            ErrorCode.Corruption,
            $"A record of shard {Shard} is not well formed. Restore the data directory from a copy. {DirectoryAdvice.Node}");

    private HengeException Damaged(LogIndex index) =>
        new(
            ErrorCode.Corruption,
            $"Entry {index} of shard {Shard} is not well formed, or of a newer format. Upgrade the node, or restore the data directory "
                + $"from a copy. {DirectoryAdvice.Node}");
}
