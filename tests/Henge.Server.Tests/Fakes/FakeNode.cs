using System.Diagnostics;
using System.Runtime.InteropServices;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Storage;
using Version = Henge.Core.Version;

namespace Henge.Server.Tests.Fakes;

/// <summary>A node in a dictionary: one copy of everything, no log and no consensus. It answers at once or, as a real one, from another thread.</summary>
internal sealed class FakeNode : IHengeNode, IPinOwner
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<byte[], List<Entry>> _entries = new(KeyComparer.Instance);
    private readonly List<Event> _events = [];
    private readonly List<FakeWatch> _watches = [];
    private readonly ShardMap _shards = new(4);
    private readonly HybridClock _clock = new(TimeProvider.System);
    private readonly List<Operation> _held = [];
    private Version _last;
    private int _pins;
    private ulong _epoch = 1;

    public NodeLimits Limits { get; init; } = new();

    /// <summary>Complete on the thread that submits.</summary>
    public bool Inline { get; set; }

    /// <summary>May end or hold an operation by itself; true when it did.</summary>
    public Func<Operation, bool>? Intercept { get; set; }

    /// <summary>What reading a key throws, as a damaged table or a replica that is being rebuilt does; null: nothing.</summary>
    public Func<ReadOnlyMemory<byte>, Exception?>? ReadProblem { get; set; }

    /// <summary>Values that are pinned now.</summary>
    public int Pins => Volatile.Read(ref _pins);

    /// <summary>Operations that were submitted, and in how many groups.</summary>
    public int Submitted { get; private set; }

    public int Groups { get; private set; }

    public int OpenWatches
    {
        get
        {
            lock (_lock)
            {
                return _watches.Count;
            }
        }
    }

    public int Held
    {
        get
        {
            lock (_lock)
            {
                return _held.Count;
            }
        }
    }

    public long MonotonicMs => Stopwatch.GetTimestamp() / (Stopwatch.Frequency / 1000);

    public Version Now => _clock.Now;

    public Version OldestVersion { get; set; }

    /// <summary>So many shards have no leader.</summary>
    public int Leaderless { get; set; }

    /// <summary>The trouble of the first shard.</summary>
    public string? ShardError { get; set; }

    public event Action? TopologyChanged;

    public void Submit(Operation operation) => Submit([operation]);

    public void Submit(ReadOnlySpan<Operation> operations)
    {
        lock (_lock)
        {
            Submitted += operations.Length;
            Groups++;
        }

        foreach (Operation operation in operations)
        {
            if (Intercept?.Invoke(operation) == true)
            {
                continue;
            }

            if (Inline)
            {
                Execute(operation);
            }
            else
            {
                ThreadPool.UnsafeQueueUserWorkItem(static o => o.Node.Execute(o.Operation), (Node: this, Operation: operation), preferLocal: false);
            }
        }
    }

    /// <summary>For <see cref="Intercept"/>: keeps an operation until <see cref="ReleaseHeld"/>.</summary>
    public bool Hold(Operation operation)
    {
        lock (_lock)
        {
            _held.Add(operation);
        }

        return true;
    }

    public void ReleaseHeld()
    {
        Operation[] held;
        lock (_lock)
        {
            held = [.. _held];
            _held.Clear();
        }

        foreach (Operation operation in held)
        {
            Execute(operation);
        }
    }

    public unsafe bool TryRead(Operation get, out PinnedValue value)
    {
        value = default;
        if (ReadProblem?.Invoke(get.Key) is { } problem)
        {
            throw problem;
        }

        lock (_lock)
        {
            if (get.ReadVersion.Value != 0 && get.ReadVersion < OldestVersion)
            {
                throw new HengeException(ErrorCode.HistoryGone, $"History below version {OldestVersion} is gone.");
            }

            Version at = get.ReadVersion.IsZero ? Version.Max : get.ReadVersion;
            if (Find(get.Key.Span, at) is not { Value: { } bytes } entry)
            {
                return false;
            }

            byte* copy = (byte*)NativeMemory.Alloc((nuint)Math.Max(1, bytes.Length));
            bytes.CopyTo(new Span<byte>(copy, bytes.Length));
            Interlocked.Increment(ref _pins);
            value = new PinnedValue(this, (nint)copy, copy, bytes.Length, entry.Version, entry.ExpiresAtMs);
            return true;
        }
    }

    public unsafe void Unpin(nint token)
    {
        NativeMemory.Free((void*)token);
        Interlocked.Decrement(ref _pins);
    }

    public ScanEnd Scan(in ScanQuery query, IScanReceiver receiver)
    {
        if (ReadProblem?.Invoke(query.Lower) is { } problem)
        {
            throw problem;
        }

        lock (_lock)
        {
            if (query.Version < OldestVersion)
            {
                throw new HengeException(ErrorCode.HistoryGone, $"History below version {OldestVersion} is gone.");
            }

            int items = 0;
            int bytes = 0;
            byte[]? lastKey = null;
            foreach (byte[] key in query.Reverse ? _entries.Keys.Reverse() : _entries.Keys)
            {
                bool inside = KeyComparer.Compare(key, query.Lower.Span) >= 0 && (query.Upper.IsEmpty || KeyComparer.Compare(key, query.Upper.Span) < 0);
                if (!inside || Find(key, query.Version) is not { Value: { } value } entry)
                {
                    continue;
                }

                int size = key.Length + (query.KeysOnly ? 0 : value.Length);
                if (items >= query.LimitItems || (items > 0 && bytes + size > query.LimitBytes))
                {
                    return new ScanEnd(items, true, query.Reverse ? [.. lastKey!] : [.. lastKey!, 0]);
                }

                receiver.OnItem(key, query.KeysOnly ? default : value, entry.Version, EntryKind.Put, entry.ExpiresAtMs);
                items++;
                bytes += size;
                lastKey = key;
            }

            return new ScanEnd(items, false, null);
        }
    }

    public ScanEnd History(ReadOnlyMemory<byte> key, Version newest, int limit, IScanReceiver receiver)
    {
        lock (_lock)
        {
            int items = 0;
            if (_entries.TryGetValue(key.ToArray(), out List<Entry>? versions))
            {
                foreach (Entry entry in versions.Where(e => e.Version <= newest).Reverse())
                {
                    if (items == limit)
                    {
                        return new ScanEnd(items, true, null);
                    }

                    receiver.OnItem(key.Span, entry.Value, entry.Version, entry.Value is null ? EntryKind.Delete : EntryKind.Put, entry.ExpiresAtMs);
                    items++;
                }
            }

            return new ScanEnd(items, false, null);
        }
    }

    public IWatch OpenWatch(WatchQuery query, Action onAvailable)
    {
        lock (_lock)
        {
            if (_watches.Count >= Limits.Watches)
            {
                throw new HengeException(ErrorCode.ResourceExhausted, $"The node has {Limits.Watches} watches, which is its limit.");
            }

            if (!query.Start.IsZero && query.Start < OldestVersion)
            {
                throw new HengeException(ErrorCode.HistoryGone, $"History below version {OldestVersion} is gone.");
            }

            int position = query.Resume.Length == 4 ? BitConverter.ToInt32(query.Resume.Span)
                : query.Start.IsZero ? _events.Count : _events.FindIndex(e => e.Version >= query.Start) is >= 0 and int i ? i : _events.Count;
            FakeWatch watch = new(this, query, onAvailable, position);
            _watches.Add(watch);
            return watch;
        }
    }

    public NodeStatus GetStatus() => new()
    {
        ClusterId = "fake",
        Name = "node1",
        Id = new NodeId(1),
        Address = "127.0.0.1:1",
        UptimeMs = 5,
        EngineName = "fake",
        Shards = [.. Enumerable.Range(0, 4).Select(i => new ShardStatus { Shard = new ShardId((uint)i), Role = ReplicaRole.Leader, Term = new Term(3), Leader = new NodeId(1), Committed = new LogIndex(7), Applied = new LogIndex(7), Error = i == 0 ? ShardError : null })],
    };

    public Topology GetTopology() => new()
    {
        ClusterId = "fake",
        Epoch = Volatile.Read(ref _epoch),
        Nodes = [new NodeEntry(new NodeId(1), "node1", "127.0.0.1:1"), new NodeEntry(new NodeId(2), "node2", "127.0.0.1:9")],
        Shards = [.. Enumerable.Range(0, 4).Select(i => new ShardPlacement(new ShardId((uint)i), [new NodeId(1), new NodeId(2)], i < Leaderless ? NodeId.None : new NodeId(1), new Term(3)))],
    };

    public void ChangeTopology()
    {
        Interlocked.Increment(ref _epoch);
        TopologyChanged?.Invoke();
    }

    public void TransferLeader(ShardId shard, NodeId to)
    {
        if (shard.Value == 3)
        {
            throw new HengeException(ErrorCode.Unavailable, "The other node is too far behind.");
        }
    }

    private void Execute(Operation operation)
    {
        switch (operation.Kind)
        {
            case OperationKind.Write:
                Write(operation);
                break;
            case OperationKind.Barrier:
                operation.Version = operation.ReadVersion.IsZero ? Latest() : operation.ReadVersion;
                break;
            default:
                operation.Version = operation.ReadVersion.IsZero ? Latest() : operation.ReadVersion;
                break;
        }

        operation.Complete();
    }

    private Version Latest()
    {
        lock (_lock)
        {
            return _last = _clock.NextAfter(_last);
        }
    }

    private void Write(Operation operation)
    {
        if (!CommandView.TryRead(operation.Command.Span, out CommandView view))
        {
            operation.Error = ErrorCode.InvalidArgument;
            operation.ErrorMessage = "The command is not well formed.";
            return;
        }

        CommandPieces pieces = view.Pieces();
        while (pieces.MoveNext())
        {
            if (_shards.ShardOf(pieces.Key) != _shards.ShardOf(view.Key))
            {
                operation.Error = ErrorCode.CrossShard;
                operation.ErrorMessage = "The keys of one transaction must lie on one shard. Give them a common part in braces.";
                return;
            }
        }

        lock (_lock)
        {
            Version version = _last = _clock.NextAfter(_last);
            System.Buffers.ArrayBufferWriter<byte> payload = new();
            CommandResult result = view.Kind == CommandKind.Txn ? Txn(operation.Command.Span, version, payload) : Apply(view, version, payload);
            operation.Version = result.Version;
            operation.Result = result.IsPlain && payload.WrittenCount == 0 ? default : result.ToMemory(payload.WrittenSpan);
            foreach (FakeWatch watch in _watches)
            {
                watch.Notify();
            }
        }
    }

    private CommandResult Txn(ReadOnlySpan<byte> command, Version version, System.Buffers.ArrayBufferWriter<byte> payload)
    {
        CommandView.TryRead(command, out CommandView view);
        SpanReader reader = new(view.Body);
        reader.TryReadVarint(out ulong compares);
        bool holds = true;
        for (ulong i = 0; i < compares; i++)
        {
            TxnCompare.TryRead(ref reader, out TxnCompare compare);
            Entry? entry = Find(compare.Key, Version.Max);
            int order = compare.Target switch
            {
                CompareTarget.Version => (entry?.Version.Value ?? 0).CompareTo(compare.Number),
                CompareTarget.Existence => (entry is null ? 0UL : 1).CompareTo(compare.Number),
                _ => entry is null ? 2 : entry.Value.AsSpan().SequenceCompareTo(compare.Value),
            };
            holds &= compare.Relation switch
            {
                CompareRelation.Equal => order == 0,
                CompareRelation.NotEqual => order != 0,
                CompareRelation.Less => order < 0,
                _ => order > 0,
            };
        }

        Span<byte> head = stackalloc byte[20];
        for (int branch = 0; branch < 2; branch++)
        {
            reader.TryReadVarint(out ulong commands);
            for (ulong i = 0; i < commands; i++)
            {
                reader.TryReadBytes(out ReadOnlySpan<byte> part);
                if (branch == (holds ? 0 : 1))
                {
                    CommandView.TryRead(part, nested: true, out CommandView partView);
                    System.Buffers.ArrayBufferWriter<byte> partPayload = new();
                    CommandResult result = Apply(partView, version, partPayload);
                    byte[] encoded = result.ToMemory(partPayload.WrittenSpan).ToArray();
                    int size = Varint.Write(head, result.Version.Value);
                    Span<byte> span = payload.GetSpan(40 + encoded.Length);
                    int at = Varint.Write(span, (ulong)(size + encoded.Length));
                    head[..size].CopyTo(span[at..]);
                    encoded.CopyTo(span[(at + size)..]);
                    payload.Advance(at + size + encoded.Length);
                }
            }
        }

        return new CommandResult(CommandStatus.Ok, version, holds);
    }

    private CommandResult Apply(in CommandView view, Version version, System.Buffers.ArrayBufferWriter<byte> payload)
    {
        byte[] key = view.Key.ToArray();
        Entry? current = Find(key, Version.Max);
        if (current is not null && (view.ReturnPrevious || view.Kind == CommandKind.Get))
        {
            EntryView.Write(payload, current.Version, current.ExpiresAtMs, current.Value);
        }

        if (view.Kind == CommandKind.Get)
        {
            return new CommandResult(CommandStatus.Ok, version, current is not null);
        }

        bool holds = view.Condition switch
        {
            PutCondition.IfVersion => (current?.Version ?? default) == view.IfVersion,
            PutCondition.IfAbsent => current is null,
            PutCondition.IfPresent => current is not null,
            _ => true,
        };
        if (!holds)
        {
            return new CommandResult(CommandStatus.ConditionFailed, current?.Version ?? default, current is not null);
        }

        if (view.Kind == CommandKind.Put)
        {
            Add(key, new Entry(version, view.Value.ToArray(), view.KeepExpiry ? current?.ExpiresAtMs ?? 0 : view.Expiry.Resolve(version)), WatchReason.Put);
            return new CommandResult(CommandStatus.Ok, version);
        }

        if (current is not null)
        {
            Add(key, new Entry(version, null, 0), WatchReason.Delete);
        }

        return new CommandResult(CommandStatus.Ok, version, current is not null);
    }

    private void Add(byte[] key, Entry entry, WatchReason reason)
    {
        if (!_entries.TryGetValue(key, out List<Entry>? versions))
        {
            _entries.Add(key, versions = []);
        }

        _events.Add(new Event(key, entry.Value ?? [], entry.Version, reason, versions.Count > 0 ? versions[^1] : null));
        versions.Add(entry);
    }

    private Entry? Find(ReadOnlySpan<byte> key, Version at)
    {
        if (!_entries.TryGetValue(key.ToArray(), out List<Entry>? versions))
        {
            return null;
        }

        Entry? found = versions.FindLast(e => e.Version <= at);
        long nowMs = at == Version.Max ? Now.Milliseconds : at.Milliseconds;
        return found?.Value is null || (found.ExpiresAtMs > 0 && found.ExpiresAtMs <= nowMs) ? null : found;
    }

    private sealed record Entry(Version Version, byte[]? Value, long ExpiresAtMs);

    private sealed record Event(byte[] Key, byte[] Value, Version Version, WatchReason Reason, Entry? Previous);

    private sealed class FakeWatch(FakeNode node, WatchQuery query, Action onAvailable, int position) : IWatch
    {
        private int _position = position;

        public byte[] ResumeToken => BitConverter.GetBytes(_position);

        public void Notify() => onAvailable();

        public bool TryRead(IWatchReceiver receiver, int limitItems, int limitBytes)
        {
            bool any = false;
            lock (node._lock)
            {
                if (_position < node._events.Count && node._events[_position].Version < node.OldestVersion)
                {
                    throw new HengeException(ErrorCode.HistoryGone, $"The watch fell behind: history below version {node.OldestVersion} is gone.");
                }

                int bytes = 0;
                for (int items = 0; _position < node._events.Count && items < limitItems && (items == 0 || bytes < limitBytes); _position++)
                {
                    Event e = node._events[_position];
                    if (KeyComparer.Compare(e.Key, query.Lower.Span) < 0 || (!query.Upper.IsEmpty && KeyComparer.Compare(e.Key, query.Upper.Span) >= 0))
                    {
                        continue;
                    }

                    items++;
                    bytes += e.Value.Length;
                    any = true;
                    receiver.OnEvent(new WatchEventView
                    {
                        Reason = e.Reason,
                        Key = e.Key,
                        Value = e.Value,
                        Version = e.Version,
                        HasPrevious = query.PreviousValues && e.Previous?.Value is not null,
                        PreviousValue = e.Previous?.Value,
                        PreviousVersion = e.Previous?.Version ?? default,
                    });
                }
            }

            return any;
        }

        public void Dispose()
        {
            lock (node._lock)
            {
                node._watches.Remove(this);
            }
        }
    }

    private sealed class KeyComparer : IComparer<byte[]>
    {
        public static KeyComparer Instance { get; } = new();

        public static int Compare(ReadOnlySpan<byte> x, ReadOnlySpan<byte> y) => x.SequenceCompareTo(y);

        int IComparer<byte[]>.Compare(byte[]? x, byte[]? y) => x.AsSpan().SequenceCompareTo(y);
    }
}
