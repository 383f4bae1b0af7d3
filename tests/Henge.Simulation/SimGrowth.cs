using Henge.Core;
using Henge.Node.Api;
using Henge.Raft;
using Henge.Simulation.Clients;
using Henge.Simulation.World;
using Henge.Testing.Files;

namespace Henge.Simulation;

/// <summary>
/// Machines that join a cluster that plans for itself, while replicas move: new ones; ones that are put up with an empty disk in the place
/// of one that has left, under its name and address; and one that takes the place of a machine whose disk is gone for good, which the
/// operator has to remove first. Each gets a number that nobody had, and whatever it was given is made from the others' replicas. In the
/// end those that have left are switched on again, and must end themselves.
/// </summary>
internal sealed class SimGrowth(SimCluster cluster, SimRandom random, SimCommands commands, Predicate<SimNode> mayLeave)
{
    private const int MostMachines = 12;
    private readonly List<SimJoin> _joins = [];
    private readonly HashSet<NodeId> _given = [];
    private bool _peace;

    /// <summary>Whose disk is gone for good, and who has not left yet.</summary>
    public SimNode? Lost { get; private set; }

    /// <summary>Called with each machine that has joined.</summary>
    public Action<SimNode> Taken { get; init; } = static _ => { };

    /// <summary>True when all have joined who want to.</summary>
    public bool IsSettled => _joins.TrueForAll(static j => j is { HasJoined: true, Machine.Node: not null } or { Machine.HasLeft: true });

    /// <summary>Plans what is to come.</summary>
    public void Start()
    {
        foreach (SimNode node in cluster.Nodes)
        {
            node.MemberChanged = (id, state) => OnMemberChanged(node, id, state);
        }

        if (cluster.Canary != Canary.None && !cluster.Canary.IsOfJoins())
        {
            // Other planted bugs are looked for without: they would need more seeds.
            return;
        }

        for (int number = random.Pick<int>([0, 0, 1, 1, 2, 3]); number > 0; number--)
        {
            var join = new SimJoin(cluster, random, cluster.AddJoiner(number));
            _joins.Add(join);
            cluster.World.AfterMs(random.Between(500, 6_000), () => join.Begin(_ => OnJoined(join.Machine)));
        }

        if (random.PerMille(400))
        {
            cluster.World.AfterMs(random.Between(1_000, 8_000), LoseForGood);
        }
    }

    /// <summary>From now on nothing more is lost.</summary>
    public void EndFaults()
    {
        _peace = true;
        foreach (SimJoin join in _joins.Where(static j => j is { HasJoined: true, Machine: { Node: null, HasLeft: false } }))
        {
            join.Machine.Start();
        }
    }

    /// <summary>A member has left for ever. At times its machine gets an empty disk, and joins again.</summary>
    public void OnLeft(SimNode machine)
    {
        Lost = Lost == machine ? null : Lost;
        if (!_peace && random.PerMille(500) && !_joins.Exists(j => j.Machine.Options.Name == machine.Options.Name && !j.Machine.HasLeft))
        {
            PutUp(machine);
        }
    }

    /// <summary>Those that have left are switched on again: they are to end themselves.</summary>
    public void CheckLeft(SimWorld world, long limitMs)
    {
        foreach (SimNode left in cluster.Machines.Where(static m => m is { HasLeft: true, IsLost: false, Node: null }).ToArray())
        {
            cluster.Statistics.LeftStarted++;
            left.StartLeft();
            if (!world.RunUntil(world.NowMs + limitMs, () => left is { HasLeft: true, Node: null }))
            {
                throw new SimulationException($"{left.Id} has left, is switched on again, and does not find that out: " + cluster.Describe());
            }
        }
    }

    private void OnJoined(SimNode machine)
    {
        if (!_given.Add(machine.Id) || machine.Id.Value <= (ulong)cluster.Founders)
        {
            throw new SimulationException($"node {machine.Index} was given the number {machine.Id}, which another one has or had");
        }

        commands.Forget(machine.Options.Name);
        machine.MemberChanged = (id, state) => OnMemberChanged(machine, id, state);
        cluster.Take(machine);
        Taken(machine);
        if (_peace || random.PerMille(700))
        {
            machine.Start();
        }
        else
        {
            machine.RestartLater();
        }
    }

    private void OnMemberChanged(SimNode teller, NodeId id, MemberState state)
    {
        // Who runs, joined, and is up, must have been sent the catalog; of itself a node may hear before it says so here.
        if (state == MemberState.Up && id.Value > (ulong)cluster.Founders && cluster.NodeOf(id) is { Node: { } node } machine
            && machine != teller && node.Parts.Hosted[ShardId.Catalog].Group.LastIndex == LogIndex.Zero)
        {
            throw new SimulationException($"node {teller.Index} takes {id} to be up, which has nothing of the catalog");
        }
    }

    private void PutUp(SimNode inPlaceOf)
    {
        if (cluster.Machines.Count >= MostMachines)
        {
            return;
        }

        cluster.Statistics.MachinesReplaced++;
        var join = new SimJoin(cluster, random, cluster.AddSuccessor(inPlaceOf)) { MayBeTaken = true };
        _joins.Add(join);
        cluster.World.AfterMs(random.Between(10, 3_000), () => join.Begin(_ => OnJoined(join.Machine)));
    }

    // A disk that fails for good takes one replica of everything with it: so it fails only where each shard has two more.
    private void LoseForGood()
    {
        SimNode node = random.Pick(cluster.Nodes);
        if (_peace || Lost is not null || cluster.Nodes.Count <= Math.Max(3, cluster.ReplicationFactor) || !mayLeave(node))
        {
            return;
        }

        for (int shard = 0; shard <= cluster.Shards; shard++)
        {
            if (cluster.LeaderOf(shard)?.ReplicaOf(shard)!.Group is not { IsSureOfMembership: true } group
                || group.Membership.Voters.Count < 3
                || group.Membership.Voters.Any(id => cluster.NodeOf(id).IsLost))
            {
                return;
            }
        }

        cluster.Statistics.MachinesLost++;
        cluster.World.Note("lost", node.Index);
        Lost = node;
        commands.OnRemoving(node.Options.Name);
        node.IsLost = true;
        node.Crash(CrashMode.LoseAllUnsynced);
        if (random.PerMille(700))
        {
            PutUp(node);
        }
    }
}
