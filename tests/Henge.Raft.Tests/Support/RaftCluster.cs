using System.Globalization;
using System.IO.Hashing;
using System.Text;
using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>
/// A whole group in one thread, from one seed: a network that drops, doubles, delays and cuts, disks that forget what was not synced, nodes
/// that crash and come back. After every step the properties of the paper's figure 3 are asserted. Messages go through the codec on their
/// way.
/// </summary>
internal sealed partial class RaftCluster
{
    private sealed record Flight(
        ulong DueRound,
        ulong Order,
        byte[] Bytes,
        NodeId From,
        NodeId To,
        InstallSnapshot? Snapshot,
        ulong SnapshotHash);

    private readonly SplitMix64Random _random;
    private readonly Faults _faults;
    private readonly RaftBugs _bugs;
    private readonly bool _leases;
    private readonly SortedDictionary<NodeId, TestNode> _nodes = [];
    private readonly List<Flight> _flights = [];
    private readonly HashSet<(NodeId, NodeId)> _cut = [];
    private readonly Dictionary<Term, NodeId> _leaders = [];
    private readonly SortedDictionary<ulong, (Term Term, ulong Hash)> _applied = [];
    private readonly Dictionary<ulong, LogIndex> _reads = [];
    private readonly System.Buffers.ArrayBufferWriter<byte> _buffer = new();
    private ulong _round;
    private (ulong AtRound, NodeId Leader, NodeId Voter) _crashPromise;
    private ulong _order;
    private bool _isCalm;
    private ulong _nextRead;
    private ulong _nextData;
    private ulong _nextId;
    private readonly StringBuilder? _trace;

    public RaftCluster(
        ulong seed,
        int voters,
        Faults? faults = null,
        RaftBugs bugs = RaftBugs.None,
        bool leases = false,
        bool trace = false)
    {
        Seed = seed;
        _random = new SplitMix64Random(seed);
        _faults = faults ?? new Faults();
        _bugs = bugs;
        _leases = leases;
        _trace = trace ? new StringBuilder() : null;
        Membership first = new(Enumerable.Range(1, voters).Select(i => new NodeId((ulong)i)));
        _nextId = (ulong)voters + 1;
        foreach (NodeId id in first.Voters)
        {
            _nodes.Add(id, new TestNode(id, first, OptionsOf, _random));
        }
    }

    public ulong Seed { get; }

    public int Elections => _leaders.Count;

    public int Commits => _applied.Count;

    public int Crashes { get; private set; }

    public int Blocked { get; private set; }

    public int Snapshots { get; private set; }

    public int ReadsGranted { get; private set; }

    public int MembershipChanges { get; private set; }

    public int Transfers { get; private set; }

    public int Truncations { get; private set; }

    public int LeaseReads { get; private set; }

    /// <summary>A hash over all that happened, to compare two runs of one seed.</summary>
    public ulong TraceHash { get; private set; } = 17;

    public IEnumerable<TestNode> Nodes => _nodes.Values;

    public string Trace => _trace?.ToString() ?? "";

    private RaftOptions OptionsOf(NodeId id) => new()
    {
        Self = id,
        ElectionTimeoutMinTicks = 10,
        ElectionTimeoutMaxTicks = 20,
        HeartbeatTicks = 3,
        AppendLimitBytes = _faults.AppendLimitBytes,
        InflightLimitMessages = 3,
        InflightLimitBytes = 400,
        UncommittedLimitBytes = 1_000,
        ApplyLimitBytes = 150,
        RecentEntriesLimitBytes = 200,
        PromotionLagEntries = 20,
        SnapshotRetryTicks = 4,
        LeaseReads = _leases && (!_faults.MixedLeases || Chance(0.5)),
        LeaseDriftTicks = 1,
        Bugs = _bugs,
    };

    private int Next(int bound) => (int)(_random.NextUInt64() % (ulong)bound);

    private bool Chance(double probability) => _random.NextUInt64() < (ulong)(probability * ulong.MaxValue);

    /// <summary>Rounds full of faults, then rounds without any, at whose end everything must agree and work.</summary>
    public void Run(int hostileRounds)
    {
        for (int i = 0; i < hostileRounds; i++)
        {
            HostileRound();
        }

        Converge();
    }

    public void HostileRound()
    {
        _round++;
        foreach (TestNode node in _nodes.Values)
        {
            if (!node.IsUp)
            {
                if (Chance(_faults.Start))
                {
                    Note($"start {node.Id}");
                    node.Start();
                    node.TicksAtStart = _round;
                }

                continue;
            }

            if (Chance(node.Group!.Role == RaftRole.Leader ? _faults.Crash + _faults.CrashLeader : _faults.Crash))
            {
                int surviving = Next(node.UnsyncedCount + 1);
                Note($"crash {node.Id} surviving={surviving}");
                node.Crash(surviving, Next(4) - 1);
                Crashes++;
                node.BlockedUntilRound = 0;
                node.LateTicks = 0;
                continue;
            }

            if (node.BlockedUntilRound > _round || (_faults.Block > 0 && Chance(_faults.Block)))
            {
                Blocked += node.BlockedUntilRound > _round ? 0 : 1;
                node.BlockedUntilRound = node.BlockedUntilRound > _round ? node.BlockedUntilRound : _round + 1 + (ulong)Next(25);
                node.LateTicks++;
                continue;
            }

            if (node.LateTicks > 0)
            {
                node.LateTicks++;
            }
            else if (!Chance(_faults.SkipTick))
            {
                Note($"tick {node.Id}");
                node.Group!.Tick();
                Pump(node);
            }
        }

        if (_faults.CrashPromise > 0)
        {
            CrashAPromise();
        }

        if (Chance(_faults.Partition))
        {
            CutSomething();
        }

        if (_cut.Count > 0 && Chance(_faults.Heal))
        {
            Note($"heal");
            _cut.Clear();
        }

        for (int i = 0; i < 3; i++)
        {
            DoSomething();
        }

        DeliverDue(_faults.Drop, _faults.Duplicate);
        MakeUpForTicks();
        CheckLeases();
        CheckLogMatching();
    }

    /// <summary>What came to a node while it was held up has been taken in; now its ticks come, all at once.</summary>
    private void MakeUpForTicks()
    {
        foreach (TestNode node in _nodes.Values)
        {
            while (node.IsUp && node.LateTicks > 0 && node.BlockedUntilRound <= _round)
            {
                node.LateTicks--;
                Note($"late tick {node.Id}");
                node.Group!.Tick();
                Pump(node);
            }
        }
    }

    /// <summary>
    /// Everybody up, no faults: within a bounded time there is a leader, proposals commit everywhere, and all states are equal.
    /// </summary>
    private void Converge()
    {
        Note($"converge");
        _isCalm = true;
        _cut.Clear();
        foreach (TestNode node in _nodes.Values)
        {
            node.BlockedUntilRound = 0;
            node.LateTicks = 0;
            if (!node.IsUp)
            {
                node.Start();
                node.TicksAtStart = _round;
            }
        }

        ulong target = 0;
        ulong proposedAt = 0;
        for (int round = 0; round < 400; round++)
        {
            _round++;
            foreach (TestNode node in _nodes.Values)
            {
                node.Group!.Tick();
                Pump(node);
                while (node.HasUnsynced)
                {
                    node.Sync(node.UnsyncedCount);
                    Pump(node);
                }
            }

            DeliverDue(0, 0);
            CheckLogMatching();
            TestNode? leader = _nodes.Values.FirstOrDefault(n => n.Group!.Role == RaftRole.Leader);
            if (leader is null)
            {
                continue;
            }

            if (target == 0 || _round - proposedAt > 100)
            {
                ProposeResult result = leader.Group!.Propose(BitConverter.GetBytes(++_nextData));
                if (result.IsAccepted)
                {
                    target = result.Index.Value;
                    proposedAt = _round;
                    Pump(leader);
                }

                continue;
            }

            bool all = leader.Group!.CommitIndex.Value >= target && !leader.Group.Membership.IsJoint;
            foreach (NodeId id in leader.Group.Membership.Members)
            {
                TestNode member = _nodes[id];
                all &=
                    member.Group!.AppliedIndex.Value >= target
                    && member.StateHash == leader.StateHash
                    && member.Group.Membership.Equals(leader.Group.Membership);
            }

            if (all)
            {
                return;
            }
        }

        throw new InvariantBrokenException("The cluster did not come together again:\n" + Describe());
    }

    private void Note(FormattableString what)
    {
        string text = what.ToString(CultureInfo.InvariantCulture);
        TraceHash = XxHash64.HashToUInt64(Encoding.UTF8.GetBytes(text), unchecked((long)TraceHash));
        _trace?.Append(_round).Append(": ").Append(text).Append('\n');
    }
}
