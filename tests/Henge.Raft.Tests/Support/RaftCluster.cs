using System.Globalization;
using System.Text;
using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>What may go wrong in a schedule, and how often.</summary>
internal sealed record Faults
{
    public double Drop { get; init; } = 0.05;
    public double Duplicate { get; init; } = 0.05;
    public int MaxDelayRounds { get; init; } = 4;
    public double Crash { get; init; } = 0.01;
    public double Partition { get; init; } = 0.02;
    public double Heal { get; init; } = 0.06;
    public double Transfer { get; init; } = 0.02;
    public double Campaign { get; init; } = 0.005;
    public double MembershipChange { get; init; } = 0.02;
    public double Checkpoint { get; init; } = 0.05;
    public double Sync { get; init; } = 0.7;
    public double SkipTick { get; init; } = 0.1;
    public double CrashLeader { get; init; } = 0.005;
    public double ReadAtLeader { get; init; } = 0.1;
    /// <summary>How often a change of membership is followed by a cut between the new voters (and the leader) and the others.</summary>
    public double CutAtChange { get; init; } = 0.02;
    public double Start { get; init; } = 0.1;
    /// <summary>How often a node is held up: what comes to it waits, and so do its ticks, for longer than an election timeout at times.</summary>
    public double Block { get; init; }
    /// <summary>How often one follower is cut off from the leader until it stands for election, and then the other, whose promise alone is left, crashes, is back at once and is cut off as well.</summary>
    public double CrashPromise { get; init; }
    /// <summary>Each node draws at each start whether it uses leases itself, as in a change from node to node.</summary>
    public bool MixedLeases { get; init; }
    public long AppendLimitBytes { get; init; } = 120;
}

/// <summary>
/// A whole group in one thread, from one seed: a network that drops, doubles, delays and cuts, disks that forget what was not synced, nodes that crash and come back.
/// After every step the properties of the paper's figure 3 are asserted. Messages go through the codec on their way.
/// </summary>
internal sealed partial class RaftCluster
{
    private sealed record Flight(ulong DueRound, ulong Order, byte[] Bytes, NodeId From, NodeId To, InstallSnapshot? Snapshot, ulong SnapshotHash);

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

    public RaftCluster(ulong seed, int voters, Faults? faults = null, RaftBugs bugs = RaftBugs.None, bool leases = false, bool trace = false)
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

    /// <summary>Everybody up, no faults: within a bounded time there is a leader, proposals commit everywhere, and all states are equal.</summary>
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
                all &= member.Group!.AppliedIndex.Value >= target && member.StateHash == leader.StateHash && member.Group.Membership.Equals(leader.Group.Membership);
            }

            if (all)
            {
                return;
            }
        }

        throw new InvariantBrokenException("The cluster did not come together again:\n" + Describe());
    }

    private void DoSomething()
    {
        TestNode node = _nodes.Values.ElementAt(Next(_nodes.Count));
        if (!node.IsUp || node.BlockedUntilRound > _round)
        {
            return;
        }

        RaftGroup group = node.Group!;
        if (Chance(_faults.Sync))
        {
            foreach (TestNode other in _nodes.Values)
            {
                if (other.IsUp && other.HasUnsynced && other.BlockedUntilRound <= _round && Chance(0.7))
                {
                    Note($"sync {other.Id}");
                    other.Sync(1 + Next(other.UnsyncedCount));
                    Pump(other);
                }
            }
        }

        if (Chance(0.5))
        {
            TestNode? leader = _nodes.Values.FirstOrDefault(n => n.IsUp && n.Group!.Role == RaftRole.Leader && n.BlockedUntilRound <= _round && Chance(0.7));
            if (leader is not null)
            {
                ProposeResult result = leader.Group!.Propose(new byte[8 + Next(60)]);
                Note($"propose {leader.Id} {result}");
                Pump(leader);
            }
        }

        if (Chance(group.Role == RaftRole.Leader ? Math.Max(0.3, _faults.ReadAtLeader) : 0.3))
        {
            Read(node);
        }

        if (Chance(_faults.Checkpoint))
        {
            node.Checkpoint(compact: true, keepEntries: (ulong)Next(8));
        }

        if (Chance(_faults.Campaign))
        {
            Note($"campaign {node.Id}");
            group.Campaign();
            Pump(node);
        }

        if (group.Role == RaftRole.Leader && Chance(_faults.Transfer * _nodes.Count))
        {
            NodeId target = group.Membership.Voters[Next(group.Membership.Voters.Count)];
            if (group.TransferLeadership(target) == TransferStatus.Started)
            {
                Note($"transfer {node.Id} to {target}");
                Transfers++;
                Pump(node);
            }
        }

        if (group.Role == RaftRole.Leader && Chance(_faults.MembershipChange * _nodes.Count))
        {
            ChangeMembership(node);
        }
    }

    private void Read(TestNode node)
    {
        // At this moment this much is certainly committed: a linearizable read that starts now must see it.
        ulong id = ++_nextRead;
        _reads.Add(id, CommittedNow());
        Note($"read {node.Id} {id}");
        node.Group!.RequestRead(id);
        Pump(node);
    }

    private void ChangeMembership(TestNode leader)
    {
        Membership now = leader.Group!.Membership;
        List<NodeId> voters = [.. now.Voters];
        List<NodeId> learners = [.. now.Learners];
        NodeId? added = null;
        switch (Next(5))
        {
            case 0 when _nodes.Count < 10:
                added = new NodeId(_nextId);
                learners.Add(added.Value);
                break;
            case 1 when learners.Count > 0:
                voters.Add(learners[0]);
                learners.RemoveAt(0);
                break;
            case 2 when voters.Count > 2:
                voters.RemoveAt(Next(voters.Count));
                break;
            case 3 when voters.Count > 1 && learners.Count > 0:
                voters[Next(voters.Count)] = learners[0];
                learners.RemoveAt(0);
                break;
            case 4 when learners.Count > 1:
                // Majorities of before and after need not meet here: the case that joint consensus is for.
                (voters, learners) = (learners, []);
                break;
            default:
                return;
        }

        MembershipResult result = leader.Group.ProposeMembership(voters, learners);
        if (result.IsAccepted)
        {
            Note($"membership {leader.Id} {leader.Group.Membership}");
            MembershipChanges++;
            if (added is { } id)
            {
                _nextId++;
                _nodes.Add(id, new TestNode(id, new Membership([]), OptionsOf, _random) { TicksAtStart = _round });
            }

            if (Chance(_faults.CutAtChange))
            {
                Cut([.. voters, leader.Id]);
            }

            Pump(leader);
        }
    }

    private void CrashAPromise()
    {
        if (_crashPromise.AtRound == _round && _nodes[_crashPromise.Voter] is { IsUp: true } voter)
        {
            Note($"crash {voter.Id} and start");
            voter.Crash(voter.UnsyncedCount);
            Crashes++;
            voter.Start();
            voter.TicksAtStart = _round;
            (voter.BlockedUntilRound, voter.LateTicks) = (0, 0);
            Cut([_crashPromise.Leader]);
        }
        else if (_crashPromise.AtRound < _round && Chance(_faults.CrashPromise) && _nodes.Values.FirstOrDefault(static n => n.IsUp && n.Group!.Role == RaftRole.Leader) is { } leader)
        {
            NodeId[] others = [.. _nodes.Keys.Where(id => id != leader.Id)];
            int voterAt = Next(others.Length);
            NodeId apart = others[(voterAt + 1) % others.Length];
            _crashPromise = (_round + 9 + (ulong)Next(14), leader.Id, others[voterAt]);
            _cut.Clear();
            _cut.Add((leader.Id, apart));
            _cut.Add((apart, leader.Id));
        }
    }

    private void CutSomething()
    {
        List<NodeId> ids = [.. _nodes.Keys];
        switch (Next(3))
        {
            case 0:
                // One node, both ways.
                NodeId alone = ids[Next(ids.Count)];
                foreach (NodeId id in ids)
                {
                    _cut.Add((alone, id));
                    _cut.Add((id, alone));
                }

                break;
            case 1:
                // Two sides.
                Cut([.. ids.Where(_ => Chance(0.5))]);
                break;
            default:
                // One way only.
                _cut.Add((ids[Next(ids.Count)], ids[Next(ids.Count)]));
                break;
        }

        Note($"cut {_cut.Count}");
    }

    private void Cut(HashSet<NodeId> side)
    {
        foreach (NodeId a in _nodes.Keys)
        {
            foreach (NodeId b in _nodes.Keys)
            {
                if (side.Contains(a) != side.Contains(b))
                {
                    _cut.Add((a, b));
                }
            }
        }
    }

    private void DeliverDue(double drop, double duplicate)
    {
        for (int guard = 0; guard < 20; guard++)
        {
            List<Flight> due = _flights.FindAll(f => f.DueRound <= _round);
            if (due.Count == 0)
            {
                return;
            }

            _flights.RemoveAll(f => f.DueRound <= _round);
            for (int i = due.Count - 1; i > 0; i--)
            {
                int j = Next(i + 1);
                (due[i], due[j]) = (due[j], due[i]);
            }

            foreach (Flight flight in due)
            {
                if (flight.Snapshot is not null)
                {
                    DeliverSnapshot(flight, drop);
                    continue;
                }

                if (_cut.Contains((flight.From, flight.To)) || Chance(drop) || !_nodes.TryGetValue(flight.To, out TestNode? to) || !to.IsUp)
                {
                    continue;
                }

                if (to.BlockedUntilRound > _round)
                {
                    _flights.Add(flight with { DueRound = to.BlockedUntilRound, Order = ++_order });
                    continue;
                }

                if (Chance(duplicate))
                {
                    _flights.Add(flight with { DueRound = _round + (ulong)Next(30), Order = ++_order });
                }

                bool ok = RaftMessageCodec.TryDecode(flight.Bytes, out RaftMessage? message, out string? error);
                Require(ok, error ?? "");
                Note($"deliver {message}");
                to.Group!.SetClock(_round - to.TicksAtStart);
                to.Group.Receive(message!);
                Pump(to);
            }
        }
    }

    private void DeliverSnapshot(Flight flight, double drop)
    {
        TestNode? leader = _nodes.GetValueOrDefault(flight.From);
        bool isLost = _cut.Contains((flight.From, flight.To)) || Chance(drop) || !_nodes.TryGetValue(flight.To, out TestNode? to) || !to.IsUp;
        if (!isLost)
        {
            to = _nodes[flight.To];
            Note($"deliver {flight.Snapshot}");
            to.Staged[flight.Snapshot!] = flight.SnapshotHash;
            to.Group!.Receive(flight.Snapshot!);
            Pump(to);
        }

        if (leader is { IsUp: true })
        {
            if (isLost)
            {
                leader.Group!.SnapshotFailed(flight.To);
            }
            else
            {
                leader.Group!.SnapshotSent(flight.To);
            }

            Pump(leader);
        }
    }

    private void Pump(TestNode node)
    {
        RaftGroup group = node.Group!;
        while (group.HasReady)
        {
            Ready ready = group.TakeReady();
            if (ready.RoleChanged && group.Role == RaftRole.Leader)
            {
                CheckNewLeader(node);
            }

            if (ready.TruncateFrom > LogIndex.Zero)
            {
                Truncations++;
            }

            foreach (RaftMessage message in ready.Messages)
            {
                _buffer.ResetWrittenCount();
                RaftMessageCodec.Encode(message, _buffer);
                _flights.Add(new Flight(_round + (ulong)Next(_isCalm ? 2 : _faults.MaxDelayRounds + 1), ++_order, _buffer.WrittenSpan.ToArray(), message.From, message.To, null, 0));
            }

            foreach (ReadGrant grant in ready.ReadsGranted)
            {
                ReadsGranted++;
                Require(_reads.Remove(grant.RequestId, out LogIndex floor), $"read {grant.RequestId} was answered twice");
                Require(grant.Index >= floor, $"stale read {grant.RequestId} at {node.Id}: {grant.Index}, but {floor} was committed when it was asked");
            }

            foreach (ulong id in ready.ReadsFailed)
            {
                Require(_reads.Remove(id), $"read {id} was answered twice");
            }

            NodeId[] wanted = ready.SnapshotsToSend.ToArray();
            node.Handle(ready, OnApply);
            foreach (NodeId to in wanted)
            {
                if (group.BeginSnapshot(to, group.AppliedIndex) is { } header)
                {
                    Snapshots++;
                    _flights.Add(new Flight(_round + (ulong)Next(8), ++_order, [], node.Id, to, header, node.StateHash));
                }
            }
        }
    }

    private void Note(FormattableString what)
    {
        string text = what.ToString(CultureInfo.InvariantCulture);
        TraceHash = XxHash64.Hash(Encoding.UTF8.GetBytes(text), TraceHash);
        _trace?.Append(_round).Append(": ").Append(text).Append('\n');
    }
}
