using System.Buffers;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Simulation.Checking;
using Henge.Simulation.World;
using Henge.Storage;
using Version = Henge.Core.Version;

namespace Henge.Simulation.Clients;

/// <summary>
/// One client in a closed loop: chooses an operation, sends it to any node, and takes note of what came of it. Writes with a session are
/// repeated with the same sequence after an unknown outcome; without one they are left unknown.
/// </summary>
internal sealed class SimClient(int number, SimCluster cluster, SimHistory history)
{
    private const long GiveUpMs = 4_000;
    private const int MaxAttempts = 6;
    private readonly SimRandom _random = cluster.World.Random.Fork();
    private readonly Dictionary<string, ulong> _seen = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ulong> _unwrittenSince = new(StringComparer.Ordinal);
    private readonly ulong _clientId = (ulong)number + 1;
    private ulong _sequence;
    private bool _answered;

    private SimWorld World => cluster.World;

    /// <summary>True while an operation is under way.</summary>
    public bool Busy { get; private set; }

    /// <summary>Begins.</summary>
    public void Start() => World.AfterMs(_random.Next(50), Next);

    private void Next()
    {
        if (cluster.ClientsStop)
        {
            return;
        }

        Busy = true;
        cluster.Statistics.Operations++;
        byte[] key = cluster.Keys[_random.Next(cluster.Keys.Count)];
        int choice = _random.Next(100);
        if (choice < 35)
        {
            Read(key);
        }
        else if (choice < 88)
        {
            Write(key, choice);
        }
        else if (choice < 94)
        {
            new SimScan(this, cluster, history, _random).Begin();
        }
        else
        {
            PastOrStaleRead(key, stale: choice >= 97);
        }
    }

    /// <summary>The operation is over: the next one comes after a short rest.</summary>
    public void Done()
    {
        Busy = false;
        World.After(_random.Between(100_000, cluster.RestNs), Next);
    }

    /// <summary>Runs an operation on a node; the end is called once: with the operation, or null when nothing was heard in time.</summary>
    public void Run(SimNode node, Action<SimOperation> fill, Action<SimOperation?> end)
    {
        bool ended = false;
        void End(SimOperation? operation)
        {
            if (!ended)
            {
                ended = true;
                end(operation);
            }
        }

        var operation = new SimOperation(o =>
        {
            cluster.LeaderNames.Check(o);
            World.After(_random.Between(10_000, 200_000), () => End(o));
        });
        fill(operation);
        World.AfterMs(GiveUpMs, () => End(null));
        long patienceMs = cluster.HasShortSessions ? _random.Between(50, 400) : _random.Between(50, 3_000);
        long dueMs = World.NowMs + patienceMs;
        node.Plan(_random.Between(10_000, 200_000), "submit", () =>
        {
            // An attempt must not outlive a session: where those are short, what comes to a node after its deadline is dropped.
            long leftMs = cluster.HasShortSessions ? dueMs - World.NowMs : patienceMs;
            if (leftMs > 0)
            {
                operation.DeadlineMs = node.Node!.MonotonicMs + leftMs;
                node.Node.Submit(operation);
            }
        });
    }

    /// <summary>A command with a session, called a retry.</summary>
    public static byte[] AsRetry(byte[] command)
    {
        byte[] retry = [.. command];
        retry[17] |= (int)SessionFlags.Retry << (SessionStamp.SequenceBits - 56);
        return retry;
    }

    /// <summary>A node that runs, if there is one.</summary>
    public SimNode? AnyNode() => cluster.AnyNode(_random);

    private void Read(byte[] key)
    {
        if (AnyNode() is not { } node)
        {
            Done();
            return;
        }

        long call = history.Instant();
        int epoch = node.Epoch;
        Run(node, o => (o.Kind, o.Key) = (OperationKind.Get, key), get =>
        {
            // The value is read on the caller's own thread, some time after the barrier was passed.
            if (get is null || get.Error != ErrorCode.None || node.Epoch != epoch || node.Node is null || node.IsPaused)
            {
                cluster.Statistics.Errors++;
                Done();
                return;
            }

            bool noted = true;
            node.Guard("read", () =>
            {
                if (Value(node, get) is not var (value, version))
                {
                    return;
                }

                cluster.Statistics.LeaseReads += cluster.ByLease ? 1 : 0;
                history.Add(key, new KeyOperation
                {
                    Client = number,
                    Action = KeyAction.Read,
                    Call = call,
                    Return = history.Instant(),
                    Value = value,
                    Version = version,
                    Outcome = KeyOutcome.Ok
                });
                _seen[Encoding.ASCII.GetString(key)] = version;
                cluster.Statistics.RemoteReads += get.Remote is null ? 0 : 1;
                noted = NoteUnwritten(node, key, version);
            });
            if (noted)
            {
                Done();
            }
        });
    }

    // For a key that is not there: up to where all that was written to it is known. That has to be fetched, and then false: the operation
    // goes on.
    private bool NoteUnwritten(SimNode node, byte[] key, ulong version)
    {
        _unwrittenSince.Remove(Encoding.ASCII.GetString(key));
        if (version != 0)
        {
            return true;
        }

        var page = PageFetch.OfHistory(key, Version.Max, 1, 4096);
        int epoch = node.Epoch;
        Run(node, o => (o.Kind, o.Page) = (OperationKind.Page, page), fetched =>
        {
            if (fetched is { Error: ErrorCode.None } && node.Epoch == epoch && node.Node is not null && !node.IsPaused)
            {
                node.Guard("history", () => NoteUnwritten(node, key, page));
            }

            Done();
        });
        return false;
    }

    private void NoteUnwritten(SimNode node, byte[] key, PageFetch page)
    {
        try
        {
            var newest = new NewestEntry();
            Version applied = node.Node!.ReadPage(page, newest).Applied;
            if (!newest.IsThere && newest.Version <= applied)
            {
                _unwrittenSince[Encoding.ASCII.GetString(key)] = applied.Value;
            }
        }
        catch (HengeException e) when (node.MayRefuse(e))
        {
            cluster.Statistics.Errors++;
        }
    }

    private void PastOrStaleRead(byte[] key, bool stale)
    {
        ulong at = _seen.GetValueOrDefault(Encoding.ASCII.GetString(key));
        if (AnyNode() is not { } node || (at == 0 && !stale))
        {
            Done();
            return;
        }

        int epoch = node.Epoch;
        Run(node, o =>
        {
            (o.Kind, o.Key) = (OperationKind.Get, key);
            o.Consistency = stale ? ReadConsistency.Stale : ReadConsistency.Default;
            o.ReadVersion = stale ? default : new Version(at + (ulong)_random.Next(2));
        },
        get =>
        {
            if (get is { Error: ErrorCode.None } && node.Epoch == epoch && node.Node is not null && !node.IsPaused)
            {
                node.Guard("read", () =>
                {
                    if (Value(node, get) is not var (value, version))
                    {
                        return;
                    }

                    if (stale)
                    {
                        cluster.Statistics.StaleReads++;
                    }
                    else
                    {
                        history.PastReads.Add(new PastRead(Encoding.ASCII.GetString(key), get.ReadVersion.Value, value, version));
                    }
                });
            }

            Done();
        });
    }

    /// <summary>Null when the shard's state was being replaced meanwhile.</summary>
    private (long Value, ulong Version)? Value(SimNode node, SimOperation get)
    {
        try
        {
            if (!node.Node!.TryRead(get, out PinnedValue pinned))
            {
                return (0, 0);
            }

            using (pinned)
            {
                return (SimValue.NumberOf(pinned.Span), pinned.Version.Value);
            }
        }
        catch (HengeException e) when (node.MayRefuse(e))
        {
            cluster.Statistics.Errors++;
            return null;
        }
    }

    private void Write(byte[] key, int choice)
    {
        var write = new WriteIntent
        {
            Key = key,
            Call = history.Instant(),
            Value = ++history.LastValue,
            Condition = _seen.GetValueOrDefault(Encoding.ASCII.GetString(key)),
            Since = _unwrittenSince.GetValueOrDefault(Encoding.ASCII.GetString(key)),
        };
        bool session = _random.PerMille(800);
        SessionStamp stamp = session
            ? new SessionStamp(_clientId, ++_sequence, _answered ? SessionFlags.Continues : SessionFlags.None)
            : default;
        byte[] value = SimValue.Create(write.Value, _random);
        var command = new ArrayBufferWriter<byte>();
        if (choice < 60)
        {
            write.Action = KeyAction.Write;
            CommandEncoder.Put(command, key, value, default, stamp);
        }
        else if (choice < 70)
        {
            write.Action = KeyAction.WriteIf;
            CommandEncoder.Put(
                command,
                key,
                value,
                new PutOptions { Condition = PutCondition.IfVersion, IfVersion = new Version(write.Condition) },
                stamp);
        }
        else if (choice < 77)
        {
            (write.Action, write.Value) = (KeyAction.Delete, 0);
            CommandEncoder.Delete(command, key, null, false, stamp);
        }
        else if (choice < 80 && write.Condition != 0)
        {
            (write.Action, write.Value) = (KeyAction.DeleteIf, 0);
            CommandEncoder.Delete(command, key, new Version(write.Condition), false, stamp);
        }
        else
        {
            write.Other = cluster.SiblingOf(key);
            write.OtherValue = ++history.LastValue;
            write.Action = KeyAction.WriteIf;
            cluster.Statistics.Transactions++;
            EncodeTransaction(command, write, value, stamp);
        }

        write.Command = command.WrittenSpan.ToArray();
        write.Repeatable = session;
        write.Stamp = stamp;
        Attempt(write);
    }

    private void EncodeTransaction(ArrayBufferWriter<byte> command, WriteIntent write, byte[] value, SessionStamp stamp)
    {
        var builder = new TxnBuilder();
        builder.CompareVersion(write.Key, CompareRelation.Equal, new Version(write.Condition));
        if (write is { Condition: 0, Since: not 0 })
        {
            // As EXEC does for a watched key that was not there.
            builder.CompareUnwritten(write.Key, new Version(write.Since));
        }

        void Add(TxnBranch branch, Action<ArrayBufferWriter<byte>> encode)
        {
            var part = new ArrayBufferWriter<byte>();
            encode(part);
            branch.Add(part.WrittenSpan);
        }

        Add(builder.Then, w => CommandEncoder.Put(w, write.Key, value));
        Add(builder.Then, w => CommandEncoder.Put(w, write.Other!, SimValue.Create(write.OtherValue, _random)));
        Add(builder.Otherwise, w => CommandEncoder.Get(w, write.Key));
        Add(builder.Otherwise, w => CommandEncoder.Get(w, write.Other!));
        builder.Encode(command, stamp);
    }

    private void Attempt(WriteIntent write)
    {
        if (AnyNode() is not { } node)
        {
            World.AfterMs(100, () => Again(write, unknown: false));
            return;
        }

        write.Attempts++;
        if (write is { MaybeDone: true, Repeatable: true })
        {
            write.Command = AsRetry(write.Command);
        }

        Run(node, o => (o.Kind, o.Key, o.Command) = (OperationKind.Write, write.Key, write.Command), o =>
        {
            ErrorCode error = o?.Error ?? ErrorCode.UnknownOutcome;
            World.Note("outcome", number, (ulong)error, o?.Version.Value ?? 0);
            switch (error)
            {
                case ErrorCode.None:
                    Conclude(write, o!);
                    break;
                case ErrorCode.SessionExpired:
                    // It was done, or not; the table has forgotten.
                    cluster.Statistics.SessionsEnded++;
                    GiveUp(write, unknown: true);
                    break;
                case ErrorCode.UnknownOutcome or ErrorCode.Cancelled or ErrorCode.Internal:
                    Again(write, unknown: true);
                    break;
                default:
                    Again(write, unknown: false);
                    break;
            }
        });
    }

    private void Again(WriteIntent write, bool unknown)
    {
        write.MaybeDone |= unknown;
        bool isTired = write.Attempts >= MaxAttempts || cluster.ClientsStop || (write.MaybeDone && _random.PerMille(100));
        if (isTired && write is { MaybeDone: true, Repeatable: true })
        {
            Void(write, MaxAttempts);
            return;
        }

        if (isTired || (write.MaybeDone && !write.Repeatable))
        {
            GiveUp(write, write.MaybeDone);
            return;
        }

        cluster.Statistics.Retries++;
        World.AfterMs(_random.Between(1, 200), () => Attempt(write));
    }

    /// <summary>
    /// A transaction that never does anything, and uses a session's number up: what comes under that number later is not done any more.
    /// </summary>
    public static void EncodeNothing(ArrayBufferWriter<byte> command, byte[] key, SessionStamp stamp)
    {
        var builder = new TxnBuilder();
        builder.CompareVersion(key, CompareRelation.Equal, Version.Max);
        builder.Encode(command, stamp);
    }

    // As the library for .NET does before it writes the key again.
    private void Void(WriteIntent write, int attempts)
    {
        if (cluster.ClientsStop || attempts == 0 || AnyNode() is not { } node)
        {
            GiveUp(write, unknown: true);
            return;
        }

        var command = new ArrayBufferWriter<byte>();
        EncodeNothing(command, write.Key, write.Stamp);
        Run(node, o => (o.Kind, o.Key, o.Command) = (OperationKind.Write, write.Key, command.WrittenMemory), o =>
        {
            if (o?.Error is ErrorCode.None && CommandResult.Of(o, out _).Status != CommandStatus.Failed)
            {
                // Done or not: from here on it does not come any more.
                cluster.Statistics.Voided++;
                World.Note("voided", number, o.Version.Value);
                history.Voided.Add(new VoidedWrite(write.Value, o.Version.Value));
                history.Voided.Add(new VoidedWrite(write.OtherValue, o.Version.Value));
                GiveUp(write, unknown: true);
            }
            else
            {
                World.AfterMs(_random.Between(10, 200), () => Void(write, attempts - 1));
            }
        });
    }

    private void GiveUp(WriteIntent write, bool unknown)
    {
        if (unknown)
        {
            cluster.Statistics.Unknown++;
            Add(write, write.Key, write.Action, write.Value, KeyOutcome.Unknown, 0);
            if (write.Other is not null)
            {
                Add(write, write.Other, KeyAction.Write, write.OtherValue, KeyOutcome.Unknown, 0);
            }
        }
        else
        {
            // The cluster said that nothing was done: it will be held to that.
            cluster.Statistics.Errors++;
            history.Refused.Add(write.Value);
            history.Refused.Add(write.OtherValue);
        }

        Done();
    }

    private void Conclude(WriteIntent write, SimOperation operation)
    {
        CommandResult result = CommandResult.Of(operation, out ReadOnlySpan<byte> payload);
        if (result.Status == CommandStatus.Failed)
        {
            if (result.Error is ErrorCode.SessionExpired or ErrorCode.ResourceExhausted)
            {
                // Refused now says nothing of an attempt before.
                GiveUp(write, write.MaybeDone || result.Error == ErrorCode.SessionExpired);
                return;
            }

            throw new SimulationException($"A write failed with {result.Problem}.");
        }

        _answered |= write.Repeatable;

        if (write.Other is not null)
        {
            ConcludeTransaction(write, result, payload);
        }
        else
        {
            bool failed = result.Status == CommandStatus.ConditionFailed;
            Add(write, write.Key, write.Action, write.Value, failed ? KeyOutcome.ConditionFailed : KeyOutcome.Ok, result.Version.Value);
            _seen[Encoding.ASCII.GetString(write.Key)] = write.Value == 0 && !failed ? 0 : result.Version.Value;
        }

        Done();
    }

    private void ConcludeTransaction(WriteIntent write, CommandResult result, ReadOnlySpan<byte> payload)
    {
        if (result.Succeeded)
        {
            Add(write, write.Key, KeyAction.WriteIf, write.Value, KeyOutcome.Ok, result.Version.Value);
            history.Unwritten.AddRange(Unwritten(write, result.Version.Value, held: true));
            Add(write, write.Other!, KeyAction.Write, write.OtherValue, KeyOutcome.Ok, result.Version.Value);
            _seen[Encoding.ASCII.GetString(write.Key)] = result.Version.Value;
            return;
        }

        var results = new TxnResultReader(payload);
        foreach (byte[] key in (byte[][])[write.Key, write.Other!])
        {
            if (!results.MoveNext())
            {
                throw new SimulationException("A transaction came back without the results of its branch.");
            }

            (long value, ulong version) = results.Current.Found && EntryView.TryRead(results.Payload, out EntryView entry)
                ? (SimValue.NumberOf(entry.Value), entry.Version.Value)
                : (0L, 0UL);
            Add(write, key, KeyAction.Read, value, KeyOutcome.Ok, version);
            _seen[Encoding.ASCII.GetString(key)] = version;
            if (key == write.Key && version == write.Condition && write is { Condition: 0, Since: not 0 })
            {
                history.Unwritten.AddRange(Unwritten(write, result.Version.Value, held: false));
            }
            else if (key == write.Key && version == write.Condition)
            {
                throw new SimulationException(
                    $"A transaction's comparison failed, and the key is at the version that was asked for, {version}.");
            }
        }
    }

    private static IEnumerable<UnwrittenCompare> Unwritten(WriteIntent write, ulong version, bool held) =>
        write is { Condition: 0, Since: not 0 }
            ? [new UnwrittenCompare(Encoding.ASCII.GetString(write.Key), write.Since, version, held)]
            : [];

    private void Add(WriteIntent write, byte[] key, KeyAction action, long value, KeyOutcome outcome, ulong version) =>
        history.Add(key, new KeyOperation
        {
            Client = number,
            Action = action,
            Call = write.Call,
            Return = history.Instant(),
            Value = value,
            Condition = write.Condition,
            Outcome = outcome,
            Version = version,
        });

    private sealed class WriteIntent
    {
        public required byte[] Key { get; init; }

        public required long Call { get; init; }

        public KeyAction Action { get; set; }

        public long Value { get; set; }

        public ulong Condition { get; init; }

        public ulong Since { get; init; }

        public byte[]? Other { get; set; }

        public long OtherValue { get; set; }

        public byte[] Command { get; set; } = [];

        public bool Repeatable { get; set; }

        public SessionStamp Stamp { get; set; }

        public bool MaybeDone { get; set; }

        public int Attempts { get; set; }
    }

    /// <summary>The newest entry of a key, a deletion or not.</summary>
    private sealed class NewestEntry : IScanReceiver
    {
        public Version Version { get; private set; }

        public bool IsThere { get; private set; }

        public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Version version, EntryKind kind, long expiresAtMs)
        {
            if (version > Version)
            {
                (Version, IsThere) = (version, kind != EntryKind.Delete);
            }
        }
    }
}
