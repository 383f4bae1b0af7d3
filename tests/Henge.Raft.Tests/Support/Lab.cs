using System.Buffers;
using System.Globalization;
using System.Text;
using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>
/// A few nodes under full control: nothing is delivered and nothing is synced unless the test says so. Whatever a group hands out is done
/// at once (messages into the network's queues, writes into the node's unsynced queue) and written down as text.
/// </summary>
internal sealed class Lab
{
    private readonly SortedDictionary<NodeId, TestNode> _nodes = [];
    private readonly SortedDictionary<(NodeId From, NodeId To), List<RaftMessage>> _network = [];
    private readonly SortedDictionary<ulong, string> _appliedAt = [];
    private readonly RaftOptions _options;
    private bool _isMuted;
    private readonly bool _quiet;

    public Lab(int voters, RaftOptions? options = null, bool quiet = true)
        : this(Enumerable.Range(1, voters).Select(static i => (ulong)i), [], options, quiet)
    {
    }

    public Lab(IEnumerable<ulong> voters, IEnumerable<ulong> learners, RaftOptions? options = null, bool quiet = true)
    {
        _options = options ?? new RaftOptions { Self = new NodeId(1) };
        _quiet = quiet;
        Membership first = new(voters.Select(static v => new NodeId(v)), learners.Select(static v => new NodeId(v)));
        foreach (NodeId id in first.Members)
        {
            AddNode(id.Value, first);
        }
    }

    public StringBuilder Text { get; } = new();

    /// <summary>Does something without writing it down.</summary>
    public void Muted(Action what)
    {
        _isMuted = true;
        what();
        _isMuted = false;
    }

    /// <summary>Everything that was applied on a node, in order, as text; Empty and Membership entries are left out.</summary>
    public Dictionary<ulong, List<string>> Applied { get; } = [];

    public List<(ulong Node, ReadGrant Grant)> Granted { get; } = [];

    public List<(ulong Node, ulong Id)> Failed { get; } = [];

    public List<(ulong Node, ulong To)> SnapshotsWanted { get; } = [];

    public RaftGroup this[ulong node] => _nodes[new NodeId(node)].Group!;

    public TestNode Node(ulong node) => _nodes[new NodeId(node)];

    public void AddNode(ulong node, Membership? first = null)
    {
        NodeId id = new(node);
        _nodes.Add(id, new TestNode(id, first ?? new Membership([]), OptionsOf, new SplitMix64Random(node)));
        Applied[node] = [];
    }

    public void Tick(ulong node, int count = 1)
    {
        for (int i = 0; i < count; i++)
        {
            this[node].Tick();
            Pump(node);
        }
    }

    public void Campaign(ulong node)
    {
        this[node].Campaign();
        Pump(node);
    }

    public ProposeResult Propose(ulong node, string data)
    {
        ProposeResult result = this[node].Propose(Encoding.UTF8.GetBytes(data));
        Pump(node);
        return result;
    }

    public void Read(ulong node, ulong id)
    {
        this[node].RequestRead(id);
        Pump(node);
    }

    public TransferStatus Transfer(ulong node, ulong target)
    {
        TransferStatus status = this[node].TransferLeadership(new NodeId(target));
        Pump(node);
        return status;
    }

    public MembershipResult Change(ulong node, IEnumerable<ulong> voters, IEnumerable<ulong>? learners = null)
    {
        MembershipResult result = this[node]
            .ProposeMembership(voters.Select(static v => new NodeId(v)), (learners ?? []).Select(static v => new NodeId(v)));
        Pump(node);
        return result;
    }

    public void Sync(ulong node)
    {
        TestNode n = Node(node);
        if (n.HasUnsynced)
        {
            n.Sync(n.UnsyncedCount);
            Pump(node);
        }
    }

    public void SyncOne(ulong node)
    {
        Node(node).Sync(1);
        Pump(node);
    }

    public void Crash(ulong node, int survivingWrites = 0)
    {
        Node(node).Crash(survivingWrites);
        foreach (List<RaftMessage> queue in _network.Where(q => q.Key.To.Value == node).Select(q => q.Value))
        {
            queue.Clear();
        }
    }

    public void Start(ulong node)
    {
        Node(node).Start();
        // What is applied again after a restart is applied from the start of what the disk has.
        Applied[node].Clear();
        Pump(node);
    }

    /// <summary>Messages on their way between two nodes.</summary>
    public IReadOnlyList<RaftMessage> InFlight(ulong from, ulong to) => Queue(from, to);

    public T Last<T>(ulong from, ulong to) where T : RaftMessage => Queue(from, to).OfType<T>().Last();

    /// <summary>Delivers what is on its way now, through the codec; not what is sent because of it.</summary>
    public void Deliver(ulong from, ulong to, int count = int.MaxValue)
    {
        List<RaftMessage> queue = Queue(from, to);
        RaftMessage[] due = [.. queue.Take(count)];
        queue.RemoveRange(0, due.Length);
        foreach (RaftMessage message in due)
        {
            Receive(to, message);
        }
    }

    /// <summary>Hands a message to a node, if it is up.</summary>
    public void Receive(ulong to, RaftMessage message)
    {
        TestNode node = Node(to);
        if (!node.IsUp)
        {
            return;
        }

        if (message is InstallSnapshot snapshot)
        {
            node.Staged[snapshot] = Node(snapshot.From.Value).StateHash;
            node.Group!.Receive(message);
        }
        else
        {
            ArrayBufferWriter<byte> buffer = new();
            RaftMessageCodec.Encode(message, buffer);
            Assert.True(RaftMessageCodec.TryDecode(buffer.WrittenSpan, out RaftMessage? copy, out string? error), error);
            node.Group!.Receive(copy);
        }

        Pump(to);
    }

    public int Drop(ulong from, ulong to)
    {
        List<RaftMessage> queue = Queue(from, to);
        int count = queue.Count;
        queue.Clear();
        return count;
    }

    /// <summary>Cuts a node off: what it has sent and what was sent to it is lost.</summary>
    public void DropAll(ulong node)
    {
        foreach (((NodeId from, NodeId to), List<RaftMessage> queue) in _network)
        {
            if (from.Value == node || to.Value == node)
            {
                queue.Clear();
            }
        }
    }

    /// <summary>
    /// Syncs and delivers, over and over, until nothing moves any more; nodes that are <paramref name="apart"/> neither send nor get
    /// anything.
    /// </summary>
    public void Settle(params ulong[] apart)
    {
        for (int guard = 0; guard < 1_000; guard++)
        {
            bool moved = false;
            foreach (TestNode node in _nodes.Values.ToArray())
            {
                if (node.IsUp && node.HasUnsynced && !apart.Contains(node.Id.Value))
                {
                    Sync(node.Id.Value);
                    moved = true;
                }
            }

            foreach ((NodeId from, NodeId to) in _network.Keys.ToArray())
            {
                if (Queue(from.Value, to.Value).Count == 0)
                {
                    continue;
                }

                if (apart.Contains(from.Value) || apart.Contains(to.Value))
                {
                    Drop(from.Value, to.Value);
                }
                else
                {
                    Deliver(from.Value, to.Value);
                    moved = true;
                }
            }

            if (!moved)
            {
                return;
            }
        }

        Assert.Fail("The nodes do not come to rest:\n" + Text);
    }

    /// <summary>Makes a node leader, with everything settled: the others hear nothing for a while, then it asks.</summary>
    public void Elect(ulong node, params ulong[] apart)
    {
        foreach (TestNode other in _nodes.Values)
        {
            if (other.IsUp && other.Id.Value != node && other.Group!.Role != RaftRole.Leader && !apart.Contains(other.Id.Value))
            {
                // At this tick they no longer protect the leader that they had; they cannot have run into their own timeout yet, or they
                // are asked all the same.
                Tick(other.Id.Value, _options.ElectionTimeoutMinTicks);
                DropAll(other.Id.Value);
            }
        }

        for (int i = 0; i <= 3 * _options.ElectionTimeoutMaxTicks && this[node].Role == RaftRole.Follower; i++)
        {
            Tick(node);
        }

        Settle(apart);
        Assert.Equal(RaftRole.Leader, this[node].Role);
    }

    /// <summary>
    /// Elects a node by the votes of the given others alone, and stops the moment it leads: what it sends then is still on its way, and
    /// nobody else has heard of anything.
    /// </summary>
    public void Win(ulong node, params ulong[] voters)
    {
        foreach (ulong voter in voters)
        {
            Tick(voter, _options.ElectionTimeoutMinTicks);
            DropAll(voter);
        }

        for (int guard = 0; guard < 200 && this[node].Role != RaftRole.Leader; guard++)
        {
            while (this[node].Role == RaftRole.Follower)
            {
                Tick(node);
            }

            Sync(node);
            foreach (ulong voter in voters)
            {
                if (this[node].Role != RaftRole.Leader)
                {
                    Deliver(node, voter);
                    Sync(voter);
                    Deliver(voter, node);
                }
            }
        }

        Assert.Equal(RaftRole.Leader, this[node].Role);
        foreach (((NodeId from, NodeId to), List<RaftMessage> queue) in _network)
        {
            queue.RemoveAll(m => m.From.Value != node || m is RequestVote);
        }
    }

    public InstallSnapshot? BeginSnapshot(ulong from, ulong to)
    {
        InstallSnapshot? header = this[from].BeginSnapshot(new NodeId(to), this[from].AppliedIndex);
        if (header is not null)
        {
            Queue(from, to).Add(header);
        }

        return header;
    }

    public void Pump(ulong node)
    {
        TestNode n = Node(node);
        while (n.IsUp && n.Group!.HasReady)
        {
            Ready ready = n.Group.TakeReady();
            if (!_quiet && !_isMuted)
            {
                Describe(n, ready);
            }

            foreach (RaftMessage message in ready.Messages)
            {
                Queue(message.From.Value, message.To.Value).Add(message);
            }

            foreach (ReadGrant grant in ready.ReadsGranted)
            {
                Granted.Add((node, grant));
            }

            foreach (ulong id in ready.ReadsFailed)
            {
                Failed.Add((node, id));
            }

            foreach (NodeId to in ready.SnapshotsToSend)
            {
                SnapshotsWanted.Add((node, to.Value));
            }

            n.Handle(ready, (at, entry, _) =>
            {
                string text = $"{entry.Term}/{entry.Index}/{entry.Kind}/{Encoding.UTF8.GetString(entry.Data.Span)}";
                Assert.True(_appliedAt.TryAdd(entry.Index.Value, text) || _appliedAt[entry.Index.Value] == text,
                    $"n{node} applied {text}, another node {_appliedAt[entry.Index.Value]}");
                if (entry.Kind == EntryKind.Normal)
                {
                    Applied[at.Id.Value].Add(Encoding.UTF8.GetString(entry.Data.Span));
                }
            });
        }
    }

    private List<RaftMessage> Queue(ulong from, ulong to)
    {
        (NodeId, NodeId) key = (new NodeId(from), new NodeId(to));
        if (!_network.TryGetValue(key, out List<RaftMessage>? queue))
        {
            queue = [];
            _network.Add(key, queue);
        }

        return queue;
    }

    private void Describe(TestNode node, Ready ready)
    {
        if (ready.RoleChanged)
        {
            Text.Append(
                CultureInfo.InvariantCulture,
                $"  {node.Id} {node.Group!.Role} term={node.Group.Term} leader={node.Group.Leader}\n");
        }

        foreach (string line in ready.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            Text.Append(CultureInfo.InvariantCulture, $"  {node.Id} {line}\n");
        }
    }

    private RaftOptions OptionsOf(NodeId id) => new()
    {
        Self = id,
        ElectionTimeoutMinTicks = _options.ElectionTimeoutMinTicks,
        ElectionTimeoutMaxTicks = _options.ElectionTimeoutMaxTicks,
        ElectionDelayTicks = _options.ElectionDelayTicks,
        HeartbeatTicks = _options.HeartbeatTicks,
        AlignHeartbeats = _options.AlignHeartbeats,
        AppendLimitBytes = _options.AppendLimitBytes,
        InflightLimitMessages = _options.InflightLimitMessages,
        InflightLimitBytes = _options.InflightLimitBytes,
        UncommittedLimitBytes = _options.UncommittedLimitBytes,
        EntryLimitBytes = _options.EntryLimitBytes,
        ApplyLimitBytes = _options.ApplyLimitBytes,
        RecentEntriesLimitBytes = _options.RecentEntriesLimitBytes,
        SettledEntriesLimitBytes = _options.SettledEntriesLimitBytes,
        PendingReadsLimit = _options.PendingReadsLimit,
        PromotionLagEntries = _options.PromotionLagEntries,
        SnapshotRetryTicks = _options.SnapshotRetryTicks,
        LeaseReads = _options.LeaseReads,
        SharedHeartbeats = _options.SharedHeartbeats,
        LeaseDriftTicks = _options.LeaseDriftTicks,
        RemovedIdsMayReturn = _options.RemovedIdsMayReturn,
        Bugs = _options.Bugs,
    };
}
