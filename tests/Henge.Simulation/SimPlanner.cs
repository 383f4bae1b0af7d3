using System.Globalization;
using Henge.Cluster.Planning;
using Henge.Core;
using Henge.Node.Admin;
using Henge.Node.Api;
using Henge.Node.Catalog;
using Henge.Node.Moves;
using Henge.Raft;
using Henge.Simulation.Checking;
using Henge.Simulation.Clients;
using Henge.Simulation.World;
using Henge.Testing.Files;
using MemberState = Henge.Node.Api.MemberState;

namespace Henge.Simulation;

/// <summary>
/// An operator of a cluster that plans for itself: drains members, removes and replaces them and cancels that or does not, changes the
/// replication factor and the rate of moves, cancels moves, asks for rebalances, all by commands to any node (<see cref="SimCommands"/>);
/// and the nodes do the rest. In peace all members that have not left are up again, and shards come to be where the plan has them, each
/// member carrying its fair share.
/// </summary>
internal sealed class SimPlanner
{
    private const int PeaceRate = 1_000_000;
    private readonly SimCluster _cluster;
    private readonly SimRandom _random;
    private readonly SimCommands _commands;
    private readonly SimGrowth _growth;
    private readonly SimMoveCrashes _crashes;
    private readonly SimAccess _access;
    private readonly SimCheckedReads _reads;
    private bool _peace;
    private bool _rebalanced;
    private long? _allRunSinceMs;
    private readonly HashSet<NodeId> _gone = [];

    public SimPlanner(SimCluster cluster, SimRandom random)
    {
        _cluster = cluster;
        _random = random;
        _commands = new SimCommands(cluster, random);
        _crashes = new SimMoveCrashes(cluster, new SimRandom(cluster.World.Seed ^ 0xC4A5_4E5));
        _access = new SimAccess(cluster, new SimRandom(cluster.World.Seed ^ 0xACCE_55));
        _reads = new SimCheckedReads(cluster, new SimRandom(cluster.World.Seed ^ 0x9A7E_5EED));
        _growth = new SimGrowth(cluster, random.Fork(), _commands, MayGo) { Taken = _crashes.Watch };
    }

    /// <summary>Begins.</summary>
    public void Start()
    {
        foreach (SimNode node in _cluster.Nodes)
        {
            node.MayLeave = true;
        }

        _cluster.World.AfterMs(_random.Between(50, 500), Turn);
        new MajorityCheck(_cluster).Start();
        _growth.Start();
        _crashes.Start();
        _access.Start();
        _reads.Start();
    }

    /// <summary>From now on all members are to be up, with as many replicas as there should be.</summary>
    public void EndFaults()
    {
        _peace = true;
        _commands.EndFaults();
        _growth.EndFaults();
        _crashes.EndFaults();
        _access.EndFaults();
        _reads.EndFaults();
    }

    /// <summary>Somebody else says commands, and it does not.</summary>
    public bool IsResting { get; set; }

    /// <summary>True when shards are where the plan has them, and the plan is as it should be in peace.</summary>
    public bool IsPlaced()
    {
        if (!_rebalanced || !_growth.IsSettled)
        {
            return false;
        }

        PlacementState?[] states = [.. States()];
        if (Array.Exists(states, static s => s is null))
        {
            return false;
        }

        PlacementState state = states[0]!;
        return states.All(s => s!.Followed.HasSameReplicas(state.Followed) && s.Goal.HasSameReplicas(s.Followed))
            && state.Members.All(static m => m.State is Cluster.Planning.MemberState.Up or Cluster.Planning.MemberState.Left)
            && state.Members.All(m => m.State != Cluster.Planning.MemberState.Left || _cluster.NodeOf(m.Id).HasLeft)
            && state.ReplicationFactor == _cluster.ReplicationFactor
            && Array.TrueForAll(states, static s => s!.RebalancePlanned == s.RebalanceAsked)
            && Enumerable.Range(0, _cluster.Shards).All(s => IsThere(s, state));
    }

    /// <summary>What administrators were told is done is so, on all nodes.</summary>
    public void CheckAccess(SimWorld world, long limitMs) => _access.Check(world, limitMs);

    /// <summary>Those that have left are switched on again, and end themselves.</summary>
    public void CheckLeft(SimWorld world, long limitMs) => _growth.CheckLeft(world, limitMs);

    // With all that may be going already.
    private bool MayGo(SimNode node) =>
        MayLeave([.. _cluster.Nodes.Where(n => n == node || _commands.MayBeLeaving(n.Options.Name)).Select(static n => n.Id)]);

    /// <summary>
    /// Whether members may go: who is left must be able to carry what there is to be in peace, and most clocks must be right.
    /// </summary>
    public bool MayLeave(IReadOnlyCollection<NodeId> going)
    {
        SimNode[] stay = [.. _cluster.Nodes.Where(n => !going.Contains(n.Id))];
        return stay.Count(static n => !n.IsLost) >= Math.Max(2, _cluster.ReplicationFactor)
            && 2 * _cluster.Nodes.Count(n => _cluster.WrongClocks.Contains(n.Index)) < stay.Length;
    }

    /// <summary>What keeps it from being placed, for messages.</summary>
    public string Describe() => $"rebalanced {_rebalanced}, all run since {_allRunSinceMs}; "
        + string.Join("; ", _cluster.Nodes.Zip(States(), static (node, state) =>
            $"node {node.Index}: {state?.ReplicationFactor} replicas, rebalance {state?.RebalancePlanned} of {state?.RebalanceAsked}, "
            + $"{string.Join(' ', state?.Members.Select(static m => $"{m.Id}:{m.State}") ?? [])} goal {Rows(state?.Goal)} "
            + $"followed {Rows(state?.Followed)}"));

    private bool IsThere(int shard, PlacementState state) => _cluster.LeaderOf(shard) is { } leader
        && leader.ReplicaOf(shard)!.Group.Membership.Voters.ToHashSet().SetEquals(
            state.Followed.ReplicasOf(new ShardId((uint)shard)).ToArray());

    private static string Rows(TargetPlacement? placement) => placement is null ? "?" : string.Join('|', Enumerable
        .Range(0, placement.ShardCount).Select(s => string.Join(' ', placement.ReplicasOf(new ShardId((uint)s)).ToArray())));

    /// <summary>Checks what <see cref="IsPlaced"/> does not: that shards are there, and that members carry their fair shares.</summary>
    public void Check()
    {
        PlacementState state = States().First()!;
        for (int shard = 0; shard < _cluster.Shards; shard++)
        {
            if (!IsThere(shard, state))
            {
                throw new SimulationException($"shard {shard} is not where the plan has it: {Describe()} {_cluster.Describe()}");
            }
        }

        PlacementPlan plan = PlacementPlanner.Plan(new PlanRequest
        {
            Members = state.Members,
            Present = state.Goal,
            ReplicationFactor = state.ReplicationFactor,
            Rebalance = true,
        });
        if (plan.Copies > 0 || plan.Shares.Any(static s => Math.Abs(s.After - s.Fair) > 1.001))
        {
            throw new SimulationException(
                $"After a rebalance shares are not fair: {string.Join("; ", plan.Shares)}; {string.Join("; ", state.Members)}; "
                    + string.Join("; ", Enumerable.Range(0, _cluster.Shards).Select(s =>
                        $"{string.Join(' ', state.Goal.ReplicasOf(new ShardId((uint)s)).ToArray())} to "
                            + string.Join(' ', plan.Target.ReplicasOf(new ShardId((uint)s)).ToArray()))));
        }
    }

    private IEnumerable<PlacementState?> States() => _cluster.Nodes.Select(static n => n.Node?.Parts.Placements.Read());

    private void Turn()
    {
        if (_cluster.IsOver)
        {
            return;
        }

        if (_cluster.AnyNode(_random) is { Node: { } node, IsPaused: false } && node.Parts.Members.View is { } view)
        {
            Bury(view);
            if (IsResting)
            {
                // What others ask for is not taken back meanwhile.
            }
            else if (_peace)
            {
                Restore(view);
            }
            else
            {
                Disturb(view);
            }
        }

        _cluster.World.AfterMs(_peace ? 200 : _random.Between(100, 2_000), Turn);
    }

    // Each command may be answered, refused, or not be heard of again.
    private void Disturb(CatalogView view)
    {
        MemberRecord[] members = [.. view.Members.Where(static m => m.State != MemberState.Left)];
        if (members.Length == 0)
        {
            return;
        }

        if (!view.Settings.ContainsKey("replace-after-ms"))
        {
            // In these worlds nobody waits for ten minutes.
            Set("down-after", 1_000);
            Set("replace-after", 2_000);
        }

        if (_random.PerMille(50))
        {
            _commands.Say(
                _random.Pick<ClusterChange>(
                [
                    new() { Kind = ClusterChangeKind.Remove, Node = "nobody" },
                    new() { Kind = ClusterChangeKind.Set, Setting = "nothing", Value = "1" },
                    new() { Kind = ClusterChangeKind.Set, Setting = ClusterSettings.ReplicationFactor, Value = "many" },
                ]),
                isNonsense: true);
        }

        for (int commands = _random.PerMille(250) ? 2 : 1; commands > 0; commands--)
        {
            Command(view, members);
        }
    }

    private void Command(CatalogView view, MemberRecord[] members)
    {
        MemberRecord member = _random.Pick(members);
        bool isDryRun = _random.PerMille(100);
        ClusterChange On(ClusterChangeKind kind) => new() { Kind = kind, Node = member.Name, IsDryRun = isDryRun };
        switch (_random.Next(10))
        {
            case 0 or 1 when isDryRun || MayLeave(view, member):
                _commands.Say(On(ClusterChangeKind.Remove) with { Successor = _random.PerMille(300) ? _random.Pick(members).Name : "" });
                break;
            case 0 or 1 or 2:
                _commands.Say(On(ClusterChangeKind.Drain));
                break;
            case 3 or 4:
                _commands.Say(On(ClusterChangeKind.Cancel));
                break;
            case 5:
                _commands.Say(On(ClusterChangeKind.Undrain));
                break;
            case 6:
                Set(ClusterSettings.ReplicationFactor, 1 + _random.Next(Math.Min(5, _cluster.Nodes.Count)), isDryRun);
                break;
            case 7:
                string setting = _random.Pick<string>(["move-rate", "moves", "moves-per-member"]);
                Set(setting, setting == "move-rate" ? _random.Pick<int>([3_000, 30_000, 1_000_000]) : 1 + _random.Next(4), isDryRun);
                break;
            case 8:
                _commands.Say(new ClusterChange { Kind = ClusterChangeKind.CancelMoves, IsDryRun = isDryRun });
                break;
            default:
                _commands.Say(new ClusterChange { Kind = ClusterChangeKind.Rebalance, IsDryRun = isDryRun });
                break;
        }
    }

    private bool MayLeave(CatalogView view, MemberRecord member) => MayLeave(
    [
        .. view.Members
            .Where(m => m.State is MemberState.Left or MemberState.Leaving || _commands.MayBeLeaving(m.Name))
            .Select(static m => m.Id),
        member.Id,
    ]);

    // A member has left: whoever did not count on it did so for good reason.
    private void Bury(CatalogView view)
    {
        foreach (MemberRecord member in view.Members.Where(static m => m.State == MemberState.Left))
        {
            if (!_gone.Add(member.Id))
            {
                continue;
            }

            for (int shard = 0; shard < _cluster.Shards; shard++)
            {
                if (_cluster.LeaderOf(shard) is { } leader && leader.ReplicaOf(shard)!.Group is { IsSureOfMembership: true } group
                    && group.Membership.IsMember(member.Id))
                {
                    throw new SimulationException($"{member.Id} has left, and is a member of shard {shard}: " + _cluster.Describe());
                }
            }

            // One that was down when it left is told by nobody; its operator switches the machine off.
            SimNode node = _cluster.NodeOf(member.Id, member.Name);
            _cluster.Statistics.MembersLeft++;
            node.HasLeft = true;
            if (node.Node is not null)
            {
                node.Crash(CrashMode.KeepAll);
            }

            _growth.OnLeft(node);
        }
    }

    private void Restore(CatalogView view)
    {
        // A member that was away a moment ago, or is not known to be up, is left alone by plans.
        bool allAreUp = _cluster.Nodes.All(static n => n is { Node: not null, IsPaused: false })
            && States().All(static s => s?.Members.All(
                static m => m.State is Cluster.Planning.MemberState.Up or Cluster.Planning.MemberState.Left) == true);
        _allRunSinceMs = allAreUp ? _allRunSinceMs ?? _cluster.World.NowMs : null;
        foreach (MemberRecord member in view.Members.Where(m => m.State is MemberState.Leaving or MemberState.Draining
            && m.Id != _growth.Lost?.Id))
        {
            _commands.Say(new ClusterChange
            {
                Kind = member.State == MemberState.Leaving ? ClusterChangeKind.Cancel : ClusterChangeKind.Undrain,
                Node = member.Name,
            });
        }

        // A founder that was lost before it wrote itself into the catalog has no record there, and is removed by its name all the same.
        if (_growth.Lost is { } lost && view.Of(lost.Id) is null or { State: not (MemberState.Leaving or MemberState.Left) })
        {
            _commands.Say(new ClusterChange { Kind = ClusterChangeKind.Remove, Node = lost.Options.Name });
        }

        // What was asked for just before may be done only now.
        if (States().Any(s => s?.ReplicationFactor != _cluster.ReplicationFactor || s.MoveBytesPerSecond != PeaceRate))
        {
            Set("move-rate", PeaceRate);
            Set("moves", 16);
            Set("moves-per-member", 2);
            Set(ClusterSettings.ReplicationFactor, _cluster.ReplicationFactor);
        }
        else if (!_rebalanced
            && _growth.IsSettled
            && _cluster.Nodes.All(n => view.Of(n.Id) is not null)
            && _cluster.World.NowMs - _allRunSinceMs >= 2_000
            && States().All(static s => s!.Goal.HasSameReplicas(s.Followed)))
        {
            _commands.Say(new ClusterChange { Kind = ClusterChangeKind.Rebalance }, answered: _ => _rebalanced = true);
        }
    }

    private void Set(string name, int value, bool isDryRun = false, Action<ClusterChangeAnswer>? answered = null) => _commands.Say(
        new ClusterChange
        {
            Kind = ClusterChangeKind.Set,
            Setting = name,
            Value = value.ToString(CultureInfo.InvariantCulture),
            IsDryRun = isDryRun,
        },
        answered: answered);
}
