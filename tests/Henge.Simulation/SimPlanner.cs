using System.Buffers;
using System.Globalization;
using System.Text;
using Henge.Cluster.Planning;
using Henge.Core;
using Henge.Node.Catalog;
using Henge.Node.Moves;
using Henge.Node.StateMachine;
using Henge.Raft;
using Henge.Simulation.Checking;
using Henge.Simulation.Clients;
using Henge.Simulation.World;
using Henge.Testing.Files;
using MemberState = Henge.Node.Api.MemberState;

namespace Henge.Simulation;

/// <summary>
/// An operator of a cluster that plans for itself: drains members, has them leave and cancels that or does not, changes the replication
/// factor and the rate of moves, asks for rebalances, all in the catalog, by any node; and the nodes do the rest. In peace all members that
/// have not left are up again, and shards come to be where the plan has them, each member carrying its fair share.
/// </summary>
internal sealed class SimPlanner(SimCluster cluster, SimRandom random)
{
    private const string ReplicationFactor = "replication-factor";
    private const string Rebalance = "rebalance";
    private bool _peace;
    private bool _rebalanced;
    private long? _allRunSinceMs;
    private int _asked;
    private readonly HashSet<NodeId> _gone = [];

    /// <summary>Begins.</summary>
    public void Start()
    {
        foreach (SimNode node in cluster.Nodes)
        {
            node.MayLeave = true;
        }

        cluster.World.AfterMs(random.Between(50, 500), Turn);
        new MajorityCheck(cluster).Start();
    }

    /// <summary>From now on all members are to be up, with as many replicas as there should be.</summary>
    public void EndFaults() => _peace = true;

    /// <summary>True when shards are where the plan has them, and the plan is as it should be in peace.</summary>
    public bool IsPlaced()
    {
        if (!_rebalanced || States().Any(static s => s is null))
        {
            return false;
        }

        PlacementState state = States().First()!;
        return States().All(s => s!.Followed.HasSameReplicas(state.Followed) && s.Goal.HasSameReplicas(s.Followed))
            && state.Members.All(static m => m.State is Cluster.Planning.MemberState.Up or Cluster.Planning.MemberState.Left)
            && state.Members.All(m => m.State != Cluster.Planning.MemberState.Left || cluster.NodeOf(m.Id).HasLeft)
            && state.ReplicationFactor == cluster.ReplicationFactor
            && States().All(s => s!.RebalancePlanned == (ulong)_asked);
    }

    /// <summary>Checks what <see cref="IsPlaced"/> does not: that shards are there, and that members carry their fair shares.</summary>
    public void Check()
    {
        PlacementState state = States().First()!;
        for (int shard = 0; shard < cluster.Shards; shard++)
        {
            NodeId[] row = state.Followed.ReplicasOf(new ShardId((uint)shard)).ToArray();
            if (cluster.LeaderOf(shard) is not { } leader || !leader.ReplicaOf(shard)!.Group.Membership.Voters.ToHashSet().SetEquals(row))
            {
                throw new SimulationException(
                    $"shard {shard} is not where the plan has it ({string.Join(' ', row)}): " + cluster.Describe());
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
                    + string.Join("; ", Enumerable.Range(0, cluster.Shards).Select(s =>
                        $"{string.Join(' ', state.Goal.ReplicasOf(new ShardId((uint)s)).ToArray())} to "
                            + string.Join(' ', plan.Target.ReplicasOf(new ShardId((uint)s)).ToArray()))));
        }
    }

    private IEnumerable<PlacementState?> States() => cluster.Nodes.Select(static n => n.Node?.Parts.Placements.Read());

    private void Turn()
    {
        if (cluster.AnyNode(random) is { Node: { } node, IsPaused: false } && node.Parts.Members.View is { } view)
        {
            Bury(view);
            if (_peace)
            {
                Restore(node, view);
            }
            else
            {
                Disturb(node, view);
            }
        }

        cluster.World.AfterMs(_peace ? 200 : random.Between(100, 2_000), Turn);
    }

    private void Disturb(Node.HengeNode node, CatalogView view)
    {
        MemberRecord[] members = [.. view.Members.Where(static m => m.State != MemberState.Left)];
        if (members.Length == 0)
        {
            return;
        }

        MemberRecord member = random.Pick(members);
        switch (random.Next(6))
        {
            case 0 or 1:
                // Leaving and draining are cancelled as often as they are begun.
                SetState(node, member, random.PerMille(500) && MayLeave(view, member) ? MemberState.Leaving : MemberState.Draining);
                break;
            case 2 or 3:
                SetState(node, member, MemberState.Up);
                break;
            case 4:
                Set(node, ReplicationFactor, 1 + random.Next(Math.Min(5, cluster.Nodes.Count)));
                break;
            default:
                Set(node, Rebalance, ++_asked);
                break;
        }
    }

    // Who is left must be able to carry what there is to be in peace, and most clocks must be right.
    private bool MayLeave(CatalogView view, MemberRecord member)
    {
        ulong[] gone =
        [
            .. view.Members.Where(static m => m.State is MemberState.Left or MemberState.Leaving).Select(static m => m.Id.Value),
            member.Id.Value,
        ];
        SimNode[] stay = [.. cluster.Nodes.Where(n => !gone.Contains(n.Id.Value))];
        return stay.Length >= Math.Max(2, cluster.ReplicationFactor)
            && 2 * cluster.Nodes.Count(n => cluster.WrongClocks.Contains(n.Index)) < stay.Length;
    }

    // A member has left: whoever did not count on it did so for good reason.
    private void Bury(CatalogView view)
    {
        foreach (MemberRecord member in view.Members.Where(static m => m.State == MemberState.Left))
        {
            if (!_gone.Add(member.Id))
            {
                continue;
            }

            for (int shard = 0; shard < cluster.Shards; shard++)
            {
                if (cluster.LeaderOf(shard) is { } leader && leader.ReplicaOf(shard)!.Group is { IsSureOfMembership: true } group
                    && group.Membership.IsMember(member.Id))
                {
                    throw new SimulationException($"{member.Id} has left, and is a member of shard {shard}: " + cluster.Describe());
                }
            }

            // One that was down when it left is told by nobody; its operator switches the machine off.
            SimNode node = cluster.NodeOf(member.Id);
            cluster.Statistics.MembersLeft++;
            node.HasLeft = true;
            if (node.Node is not null)
            {
                node.Crash(CrashMode.KeepAll);
            }
        }
    }

    private void Restore(Node.HengeNode node, CatalogView view)
    {
        foreach (MemberRecord member in view.Members.Where(static m => m.State is MemberState.Leaving or MemberState.Draining))
        {
            SetState(node, member, MemberState.Up);
        }

        // A member that was away a moment ago, or is not known to be up, is left alone by plans.
        bool allAreUp = cluster.Nodes.All(static n => n is { Node: not null, IsPaused: false })
            && States().All(static s => s?.Members.All(
                static m => m.State is Cluster.Planning.MemberState.Up or Cluster.Planning.MemberState.Left) == true);
        _allRunSinceMs = allAreUp ? _allRunSinceMs ?? cluster.World.NowMs : null;
        PlacementState? state = node.Parts.Placements.Read();
        if (state is null)
        {
            return;
        }

        if (state.ReplicationFactor != cluster.ReplicationFactor)
        {
            Set(node, ReplicationFactor, cluster.ReplicationFactor);
        }
        else if (_rebalanced && state.RebalanceAsked != (ulong)_asked)
        {
            Set(node, Rebalance, _asked);
        }
        else if (!_rebalanced
            && state.Goal.HasSameReplicas(state.Followed)
            && cluster.World.NowMs - _allRunSinceMs >= 2_000)
        {
            _rebalanced = true;
            Set(node, Rebalance, ++_asked);
        }
    }

    private void SetState(Node.HengeNode node, MemberRecord member, MemberState to)
    {
        cluster.Statistics.MembersTurned++;
        node.Parts.Members.SetState(
            member.Id,
            [MemberState.Up, MemberState.Leaving, MemberState.Draining],
            to,
            node.Parts.Context.MonotonicMs + 2_000,
            static _ => { });
    }

    private void Set(Node.HengeNode node, string name, int value)
    {
        string rate = (_peace ? 1_000_000 : random.Pick<int>([3_000, 30_000, 1_000_000])).ToString(CultureInfo.InvariantCulture);
        string text = value.ToString(CultureInfo.InvariantCulture);
        node.Parts.Members.Changes.Add(
            view => view.Settings.GetValueOrDefault(name) == text ? CatalogStep.Done : Write(name, text, rate),
            node.Parts.Context.MonotonicMs + 5_000,
            static _ => { });
    }

    private static CatalogStep Write(string name, string text, string rate)
    {
        var txn = new TxnBuilder();
        (string Key, string Value)[] settings =
            [(name, text), ("down-after-ms", "300"), ("replace-after-ms", "2000"), ("move-rate", rate)];
        foreach ((string key, string value) in settings)
        {
            var command = new ArrayBufferWriter<byte>();
            CommandEncoder.Put(command, Encoding.UTF8.GetBytes(CatalogKeys.Setting + key), Encoding.UTF8.GetBytes(value), new PutOptions());
            txn.Then.Add(command.WrittenSpan);
        }

        return CatalogStep.Write(txn);
    }
}
