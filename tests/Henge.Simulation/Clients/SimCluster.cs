using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Replication;
using Henge.Node.StateMachine;
using Henge.Raft;
using Henge.Simulation.World;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Settings;

namespace Henge.Simulation.Clients;

/// <summary>What happens to every new leader of the first shard.</summary>
internal enum HuntKind
{
    /// <summary>Nothing out of the ordinary.</summary>
    None,
    /// <summary>It is cut off, and the one before it is let back in.</summary>
    Isolate,
    /// <summary>It stands still for a while.</summary>
    Pause,
}

/// <summary>What a run is made of, drawn from its seed: how many nodes, how tiny the limits, so that rare paths are common.</summary>
internal sealed class SimCluster
{
    private readonly List<SimNode> _nodes = [];
    private readonly List<SimNode> _machines = [];

    public SimCluster(SimWorld world, SimStatistics statistics, Canary canary, bool isReference = false)
    {
        World = world;
        Statistics = statistics;
        LeaderNames = new Checking.LeaderNames(this);
        Canary = canary;
        SimRandom random = world.Random.Fork();
        int nodes = random.Next(10) switch { 0 => 1, < 7 => 3, _ => 5 };
        if (canary != Canary.None)
        {
            nodes = Math.Max(3, nodes);
        }

        Shards = 1 + random.Next(3);
        var shape = new SimRandom(world.Seed ^ 0xE1A5_71C0);
        IsElastic = canary.IsOfMoves() || canary.IsOfPlans() || (canary == Canary.None && shape.PerMille(300));
        if (IsElastic)
        {
            nodes = 1 + shape.Next(9);
            nodes = canary == Canary.None ? nodes : Math.Max(4, nodes);
            Shards = 1 + shape.Next(5);
        }

        IsPlanned = IsElastic && (canary.IsOfPlans() || (canary == Canary.None && shape.PerMille(500)));
        ReplicationFactor = IsElastic ? Math.Min(nodes, 1 + shape.Next(4)) : nodes;
        if (isReference)
        {
            canary = Canary.None;
        }

        RestNs = random.Pick<long>([2_000_000, 10_000_000, 40_000_000]);
        Network = new SimNetwork(world, statistics);
        ClusterMember[] members =
        [
            .. Enumerable
                .Range(1, nodes)
                .Select(i => new ClusterMember("node" + i.ToString(CultureInfo.InvariantCulture), $"10.0.0.{i}:7000")),
        ];
        NodeLimits limits = new()
        {
            KeyBytes = 64,
            ValueBytes = 2048,
            CommandBytes = 8 * 1024,
        };
        int keep = random.Pick<int>([0, 5, 50, 500]);
        long budget = random.Pick<long>([48 * 1024, 128 * 1024, 1024 * 1024]);
        int workers = 1 + random.Next(2);
        int entryBytes = random.Pick<int>([1, 512, 8 * 1024]);
        int memTable = random.Pick<int>([16 * 1024, 64 * 1024, 512 * 1024]);
        int block = random.Pick<int>([64, 256, 4096]);
        if (nodes > 1 && random.PerMille(300))
        {
            Hunt = random.PerMille(600) ? HuntKind.Isolate : HuntKind.Pause;
        }

        ByLease = random.PerMille(300);
        bool changesLeases = ByLease && random.PerMille(400);

        // Sessions end within seconds, by their own age or pushed out by others; but they outlive every attempt, as they do by far in
        // earnest.
        HasShortSessions = random.PerMille(400);
        Network.ForgetsSent = HasShortSessions;
        SessionLimits sessionLimits = HasShortSessions
            ? SessionLimits.Default with
            {
                Sessions = random.Pick<int>([2, 3, 100]),
                ProtectedMs = 2_000,
                IdleMs = random.Pick<long>([2_000, 3_000]),
            }
            : canary == Canary.RepeatForgottenFirst || (world.Seed >> 2) % 4 == 0
                ? SessionLimits.Default with { Window = 1 + (int)((world.Seed >> 4) % 2), MinimumWindow = 1 }
                : SessionLimits.Default;

        // A minority, so that the others outvote it; a cluster of one has one clock only.
        WrongClocks = Enumerable.Range(0, nodes).OrderBy(_ => random.NextUInt64()).Take(nodes == 1 ? 1 : (nodes - 1) / 2).ToHashSet();

        // The smallest has every entry travel alone.
        int frame = Hunt == HuntKind.Isolate ? 128 : random.Pick<int>([128, 1024, 64 * 1024]);
        int stepEntries = random.Pick<int>([1, 8, 1024]);
        int sessions = random.Pick<int>([3, 100]);
        int zones = IsPlanned ? shape.Pick<int>([1, 1, 2, 3]) : 1;
        for (int i = 0; i < nodes; i++)
        {
            var options = new NodeOptions
            {
                Name = members[i].Name,
                Cluster = members,
                DataDirectory = "/data",
                Shards = Shards,
                ReplicationFactor = ReplicationFactor,
                MovesShards = IsPlanned,
                Zone = zones > 1 ? $"z{i % zones}" : "",
                Limits = limits,
                Workers = workers,
                EntryBytes = entryBytes,
                LogSegmentBytes = 32 * 1024,
                LogBudgetBytes = budget,
                LogCacheBytes = random.Pick<long>([1, 16 * 1024, 1024 * 1024]),
                LogKeepEntries = keep,
                SnapshotChunkBytes = 1024,
                PeerFrameBytes = frame,
                DiskReserveBytes = 0,
                BalanceIntervalMs = random.Pick<int>([0, 500, 2000]),
                ElectionsAtOnce = (world.Seed % 3) switch { 0 => 1, 1 => 3, _ => 64 },
                DefaultDeadlineMs = 2_000,
                Reads = ByLease ? ReadConsistency.Lease : ReadConsistency.Linearizable,
                SessionLimit = Math.Max(sessions, 100),
                Sessions = sessionLimits,
                RaftBugs = (RaftBugs)(canary.IsRaft() ? (int)canary.RaftBug() : 0),
                Bugs = canary.NodeBug(),
            };
            var node = new SimNode(i, world, Network, statistics, options, self => new LsmOptions
            {
                Directory = "/data/engine",
                // With a cache of its own size, everything would be read from the disk only once.
                MemoryBytes = self == Victim ? 16 * 1024 : 4 << 20,
                MemTableBytes = memTable,
                BlockBytes = block,
                TargetTableBytes = 16 * 1024,
                LevelBaseBytes = 32 * 1024,
                LevelMultiplier = 4,
                L0CompactionTrigger = 2,
                StepEntries = stepEntries,
                OpenDamagedTables = true,
                Bugs = canary.StorageBug(),
            });
            node.ChangesLeases = changesLeases;
            node.Clock.StopsInSuspend = canary == Canary.ClockStopsInSuspend;
            _nodes.Add(node);
            _machines.Add(node);
            Network.Add(node);
        }

        Founders = nodes;
        MakeKeys(random);
        if (!IsElastic || canary == Canary.None)
        {
            MakeMisfit(members, new SimRandom(world.Seed ^ 0x4D15F17));
        }

        foreach (SimNode node in _nodes)
        {
            node.Dropped = (shard, index) => Checking.DroppedCheck.OnDropped(this, node, shard, index);
        }

        var damage = new SimRandom(world.Seed ^ 0xB17_F11F);
        bool mayBeDamaged = !IsElastic ? _nodes.Count >= 3 : canary == Canary.None && !IsPlanned && ReplicationFactor >= 3;
        Victim = mayBeDamaged && damage.PerMille(400) ? damage.Pick(_nodes) : null;
    }

    /// <summary>Whether the run of a seed is of a cluster that plans by itself: to look at such runs only.</summary>
    public static bool IsPlannedBy(ulong seed)
    {
        var shape = new SimRandom(seed ^ 0xE1A5_71C0);
        if (!shape.PerMille(300))
        {
            return false;
        }

        shape.Next(9);
        shape.Next(5);
        return shape.PerMille(500);
    }

    public SimWorld World { get; }

    public SimStatistics Statistics { get; }

    public Canary Canary { get; }

    public SimNetwork Network { get; }

    public int Shards { get; }

    /// <summary>Whether replicas of shards move between nodes, of which there may be more than replicas.</summary>
    public bool IsElastic { get; }

    /// <summary>Whether it plans by itself where replicas are to be.</summary>
    public bool IsPlanned { get; }

    /// <summary>How many replicas a shard is to have.</summary>
    public int ReplicationFactor { get; }

    /// <summary>Whether reads trust the leader's lease: then clocks must not drift further apart than that allows.</summary>
    public bool ByLease { get; }

    /// <summary>How far clocks that are not in <see cref="WrongClocks"/> may be off, at most.</summary>
    public const long HonestSkewMs = 200;

    /// <summary>Nodes whose clocks are off by hours and years at times: never a majority, except in a cluster of one.</summary>
    public IReadOnlySet<int> WrongClocks { get; }

    /// <summary>True when a majority's clocks are right, so that times to live are held to them.</summary>
    public bool HasTime => Founders > 1;

    /// <summary>Whether sessions end within seconds.</summary>
    public bool HasShortSessions { get; }

    /// <summary>Who is named as the leader of which shard, in which term.</summary>
    public Checking.LeaderNames LeaderNames { get; }

    /// <summary>What happens to every new leader of the first shard in this run.</summary>
    public HuntKind Hunt { get; }

    /// <summary>How long clients rest between operations, at most.</summary>
    public long RestNs { get; }

    /// <summary>Those that the cluster was made of, or that count as such, and that have not left it.</summary>
    public IReadOnlyList<SimNode> Nodes =>
        _nodes.Exists(static n => n.HasLeft) ? [.. _nodes.Where(static n => !n.HasLeft)] : _nodes;

    /// <summary>Who leads a shard in the newest term; null when nobody that runs does.</summary>
    public SimNode? LeaderOf(int shard) => Nodes
        .Where(n => !n.IsPaused && n.ReplicaOf(shard)?.Group.Role == RaftRole.Leader)
        .MaxBy(n => n.ReplicaOf(shard)!.Group.Term.Value);

    /// <summary>How many nodes the cluster was made of.</summary>
    public int Founders { get; }

    /// <summary>One that the cluster was made of, or that has joined, whether it has left or not.</summary>
    public SimNode NodeOf(NodeId id) =>
        _machines.Find(m => m.Id == id) ?? throw new SimulationException($"nobody has been given the number {id}");

    /// <summary>
    /// As <see cref="NodeOf(NodeId)"/>. A machine that was taken in and removed before it heard of that, since the answer was lost, is
    /// known by its name; its operator gives it up.
    /// </summary>
    public SimNode NodeOf(NodeId id, string name)
    {
        if (!_machines.Exists(m => m.Id == id) && _machines.Find(m => m.Id.IsNone && m.Options.Name == name) is { } machine)
        {
            (machine.Id, machine.HasLeft, machine.IsLost) = (id, true, true);
        }

        return NodeOf(id);
    }

    /// <summary>How many replicas a shard can have with those that have not left.</summary>
    public int PossibleReplicas => Math.Min(ReplicationFactor, Nodes.Count);

    /// <summary>Those that the cluster was made of, and those that join it.</summary>
    public IReadOnlyList<SimNode> Machines => _machines;

    /// <summary>Keys that clients use; they come in pairs on one shard.</summary>
    public IReadOnlyList<byte[]> Keys { get; private set; } = [];

    /// <summary>Keys that only pipelines use: one for each shard.</summary>
    public IReadOnlyList<byte[]> PipelineKeys { get; private set; } = [];

    /// <summary>Keys that clients of hashes use: one for each shard.</summary>
    public IReadOnlyList<byte[]> HashKeys { get; private set; } = [];

    /// <summary>Clients begin nothing new.</summary>
    public bool ClientsStop { get; set; }

    /// <summary>Its end has come: whoever looks after it or checks it as a whole rests from now on.</summary>
    public bool IsOver { get; set; }

    /// <summary>The other key of a pair.</summary>
    public byte[] SiblingOf(byte[] key)
    {
        int index = Keys.ToList().IndexOf(key);
        return Keys[index ^ 1];
    }

    /// <summary>The one node whose disk loses bits of tables in this run; null in most runs.</summary>
    public SimNode? Victim { get; private set; }

    /// <summary>A node that runs; null when none does.</summary>
    public SimNode? AnyNode(SimRandom random)
    {
        SimNode node = random.Pick(_nodes);
        return node.Node is not null ? node : _nodes.FirstOrDefault(static n => n.Node is not null && !n.IsPaused);
    }

    /// <summary>
    /// The nodes that have a replica of a key's shard, when all is at rest: as many as there can be, and all of them serve.
    /// </summary>
    public IReadOnlyList<SimNode> ServersOf(byte[] key)
    {
        int shard = (int)new ShardMap(Shards).ShardOf(key).Value;
        SimNode[] servers = [.. Nodes.Where(n => n.ReplicaOf(shard) is { Serves: true })];

        return servers.Length == PossibleReplicas
            ? Array.FindAll(servers, n => !MayBeUnreadable(n))
            : throw new SimulationException($"shard {shard} is served by {servers.Length} of {PossibleReplicas} nodes: " + Describe());
    }

    /// <summary>
    /// Where replicas move, nobody has read all of a disk that loses bits (<c>WholeCheck</c>): what it has may not be readable yet.
    /// </summary>
    public bool MayBeUnreadable(SimNode node) => IsElastic && node == Victim && node.IsDamaged;

    /// <summary>Puts up a machine that the cluster was not made of; it serves no clients. It has to join.</summary>
    public SimNode AddJoiner(int number) => AddMachine(_nodes[0], _nodes[0].Options with
    {
        Name = "new" + number.ToString(CultureInfo.InvariantCulture),
        Address = string.Create(CultureInfo.InvariantCulture, $"10.0.1.{number}:7000"),
        Cluster = [],
    });

    /// <summary>Puts up a machine in the place of another one: of its name and address, with an empty disk. It has to join.</summary>
    public SimNode AddSuccessor(SimNode of) => AddMachine(of, of.Options with
    {
        Address = of.Options.Cluster.Where(m => m.Name == of.Options.Name).Select(static m => m.Address).FirstOrDefault(of.Options.Address),
        Cluster = [],
    });

    /// <summary>A machine that has joined counts as a founder's from now on: clients ask it, and it is checked.</summary>
    public void Take(SimNode joined)
    {
        joined.Dropped = (shard, index) => Checking.DroppedCheck.OnDropped(this, joined, shard, index);
        joined.MayLeave = true;
        _nodes.Add(joined);
    }

    private SimNode AddMachine(SimNode like, NodeOptions options)
    {
        var node = new SimNode(_machines.Count, World, Network, Statistics, options, like.Engine)
        {
            Id = NodeId.None,
        };
        node.Clock.StopsInSuspend = like.Clock.StopsInSuspend;
        Network.Add(node);
        _machines.Add(node);
        return node;
    }

    /// <summary>True when all nodes have joined, and every shard has exactly one leader that all know.</summary>
    public bool IsSettled()
    {
        if (Nodes.Any(static n => n.Node is null || n.Node.ClusterId.Length == 0))
        {
            return false;
        }

        // Asked after each event: so it takes from the nodes no more than it needs.
        ShardStatus[] all =
        [
            .. Nodes.SelectMany(static n => n.Node!.Parts.Hosted.All).Where(static r => !r.Shard.IsCatalog).Select(static r => r.Status),
        ];
        for (int shard = 0; shard < Shards; shard++)
        {
            int at = shard;
            ShardStatus[] statuses = Array.FindAll(all, s => s.Shard.Value == (uint)at);
            if (
                statuses.Length != PossibleReplicas
                || Array.Exists(statuses, s => s.IsJoint || s.Voters.Count != PossibleReplicas || s.Learners.Count != 0)
                || statuses.Count(static s => s.Role == ReplicaRole.Leader) != 1
                || Array.Exists(statuses, s => s.Leader != statuses[0].Leader || s.Applied != statuses[0].Applied || s.Applied != s.Last))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>What the nodes that run have of a shard.</summary>
    public IEnumerable<ShardStateMachine> MachinesOf(ShardId shard) =>
        _nodes.Select(n => n.Node?.Parts.MachineOf(shard)).OfType<ShardStateMachine>();

    /// <summary>The last version that any node has of a shard.</summary>
    public Core.Version LastVersionOf(ShardId shard) => MachinesOf(shard).Max(static m => m.LastVersion);

    /// <summary>The oldest version that all replicas have.</summary>
    public Core.Version HighestFloor => Enumerable
        .Range(0, Shards)
        .SelectMany(s => MachinesOf(new ShardId((uint)s)))
        .Select(static m => m.HistoryFloor)
        .DefaultIfEmpty()
        .Max();

    /// <summary>What its nodes know of its shards, for messages.</summary>
    public string Describe() => string.Join("; ", _nodes.Select(n => n.Node is null
        ? $"node {n.Index} is down"
        : $"node {n.Index}: " + string.Join(", ", n.Node.Parts.Hosted.All.Select(Describe))));

    private static string Describe(ShardReplica replica) => $"{replica} {replica.Status.Error}{Peers(replica.Group)}{Move(replica)}";

    private static string Move(ShardReplica replica) =>
        replica.Move is { } move ? $" (move: {move.Step} {move.Wait} {string.Join(' ', move.WaitsFor)})" : "";

    private static string Peers(RaftGroup group)
    {
        var peers = new List<PeerStatus>();
        group.GetPeers(peers);
        return string.Concat(peers.Select(static p => $" ({p})"));
    }

    // One node of some clusters is first started with a setting that the others do not have. It must never serve, and the others must not
    // mind.
    private void MakeMisfit(ClusterMember[] members, SimRandom random)
    {
        if (_nodes.Count < 3 || !random.PerMille(150))
        {
            return;
        }

        SimNode node = random.Pick(_nodes);
        node.Misfit = random.Next(4) switch
        {
            0 => node.Options with { ReplicationFactor = ReplicationFactor == 1 ? 2 : 1 },
            1 => node.Options with { Shards = Shards + 1 },
            2 => node.Options with { ClusterToken = "another" },
            _ => node.Options with
            {
                Cluster = [.. members.Select(m => m.Name == node.Options.Name ? m : m with { Address = m.Address + "0" })],
            },
        };
        Statistics.Misfits++;
        World.AfterMs(random.Between(500, 9_000), node.SetRight);
    }

    private void MakeKeys(SimRandom random)
    {
        var map = new ShardMap(Shards);
        var keys = new List<byte[]>();
        int pairs = Math.Max(Shards, 2 + random.Next(6));
        for (int i = 0; keys.Count < 2 * pairs; i++)
        {
            // Every shard gets some.
            byte[] tag = Encoding.ASCII.GetBytes($"{{t{i}}}");
            if (map.ShardOf(tag).Value == keys.Count / 2 % Shards)
            {
                keys.Add([.. tag, (byte)'a']);
                keys.Add([.. tag, (byte)'b']);
            }
        }

        Keys = keys;
        PipelineKeys = [.. Enumerable.Range(0, Shards).Select(s => (byte[])[.. keys[2 * s], (byte)'p'])];
        HashKeys = [.. Enumerable.Range(0, Shards).Select(s => (byte[])[.. keys[2 * s], (byte)'h'])];
    }
}
