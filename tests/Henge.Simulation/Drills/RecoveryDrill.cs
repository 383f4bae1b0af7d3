using Henge.Core;
using Henge.Node.Api;
using Henge.Raft;
using Henge.Simulation.Clients;
using Henge.Simulation.World;
using Henge.Testing.Files;

namespace Henge.Simulation.Drills;

/// <summary>
/// The end of the world: while writes are under way, so many nodes are destroyed, or cut off for good, that shards have no majority any
/// more. An operator recovers the cluster from those that are left (docs/decisions/0200-when-a-majority-is-lost.md), and is interrupted at
/// it. What the plan said is kept must be kept, all that are left must agree, and who comes back after all must change nothing. The last
/// thing that happens in a run: the cluster is not what it was afterwards.
/// </summary>
internal sealed class RecoveryDrill(SimWorld world, SimCluster cluster)
{
    private const long SettleMs = 60_000;
    private readonly SimRandom _random = new(world.Seed ^ 0x0200_DEAD);
    private List<SimNode> _left = [];
    private List<SimNode> _lost = [];

    /// <summary>Plays it, in some of the runs.</summary>
    public void Run()
    {
        bool isWanted = cluster.Canary.IsOfRecovery() || (cluster.Canary == Canary.None && _random.PerMille(400));
        // A shard does not begin empty where a table is damaged between what the node has: an operator would give that node up.
        if (!isWanted || cluster.Nodes.Count < 3 || cluster.Machines.Count > cluster.Founders
            || cluster is { IsElastic: true, Victim: not null })
        {
            return;
        }

        cluster.IsOver = true;
        var writes = new RecoveryWrites(cluster, _random);
        writes.Start();
        world.RunUntil(world.NowMs + _random.Between(100, 1_500));
        Destroy();
        world.RunUntil(world.NowMs + _random.Between(50, 3_000));
        var recovery = new RecoveryOperator(cluster, _random, _left, _lost)
        {
            // Between the phases at times, when not everything is said to everybody yet.
            BetweenPhases = () => { if (_random.PerMille(300)) { BringBack(); } },
        };
        if (!recovery.Run())
        {
            // Every shard has a majority: the others come back as after any crash.
            _lost.ForEach(static n => n.IsGivenUp = false);
            _lost.ForEach(static n => n.Start());
            cluster.Network.Heal();
            writes.Stop();
            return;
        }

        cluster.Statistics.Recoveries++;
        if (_random.PerMille(500))
        {
            BringBack();
            world.RunUntil(world.NowMs + _random.Between(100, 3_000));
        }

        writes.Stop();
        bool IsSettled() => this.IsSettled(recovery);
        if (!world.RunUntil(world.NowMs + SettleMs, IsSettled))
        {
            throw new SimulationException("A virtual minute after a recovery the cluster does not serve: " + Describe());
        }

        BringBack();
        world.RunUntil(world.NowMs + 2_000);
        if (!world.RunUntil(world.NowMs + SettleMs, IsSettled))
        {
            throw new SimulationException("Nodes that were given up have come back, and the cluster does not serve: " + Describe());
        }

        writes.MustTakeMore(_left, recovery.IsUnavailable);
        if (!world.RunUntil(world.NowMs + SettleMs, IsSettled))
        {
            throw new SimulationException("After writes the cluster does not come to rest: " + Describe());
        }

        CompareStates();
        for (int shard = 0; shard < cluster.Shards; shard++)
        {
            writes.MustBeThere(shard, recovery.KeptOf(shard), _left);
        }
    }

    private void Destroy()
    {
        int count = cluster.Nodes.Count;
        SimNode[] shuffled = [.. cluster.Nodes.OrderBy(_ => _random.NextUInt64())];
        int lost = _random.Between(cluster.IsElastic ? 1 : (count + 1) / 2, count - 1) is var n ? (int)n : 0;
        if (2 * shuffled.Skip(lost).Count(n => cluster.WrongClocks.Contains(n.Index)) >= count - lost)
        {
            // Most clocks of those that are left must be right, or an operator has to set them first.
            shuffled = [.. shuffled.OrderBy(n => cluster.WrongClocks.Contains(n.Index) ? 0 : 1)];
        }

        _lost = [.. shuffled.Take(lost)];
        _left = [.. shuffled.Skip(lost)];
        foreach (SimNode node in cluster.Nodes)
        {
            // Whoever is given up may learn that, and end.
            node.MayLeave = true;
        }

        // What is left is often behind.
        if (_random.PerMille(500))
        {
            SimNode behind = _random.Pick(_left);
            cluster.Network.Isolate(behind.Index);
            world.RunUntil(world.NowMs + _random.Between(10, 1_500));
        }

        bool cutOff = _random.PerMille(300);
        foreach (SimNode node in _lost)
        {
            node.IsGivenUp = true;
            if (cutOff)
            {
                _left.ForEach(other =>
                {
                    cluster.Network.Cut(node.Index, other.Index);
                    cluster.Network.Cut(other.Index, node.Index);
                });
            }
            else
            {
                node.Crash(CrashMode.KeepAll);
                world.RunUntil(world.NowMs + _random.Between(0, 200));
            }
        }

        if (!cutOff)
        {
            cluster.Network.Heal();
        }
        else
        {
            foreach (SimNode a in _left)
            {
                _left.ForEach(b => cluster.Network.Open(a.Index, b.Index));
            }
        }
    }

    // From the dead, with what was on their disks.
    private void BringBack()
    {
        cluster.Network.Heal();
        foreach (SimNode node in _lost.Where(static n => n.Node is null && !n.HasLeft))
        {
            cluster.Statistics.LostNodesBack++;
            node.Start();
        }
    }

    private bool IsSettled(RecoveryOperator recovery)
    {
        if (_left.Exists(static n => n.Node is null))
        {
            return false;
        }

        for (int shard = 0; shard <= cluster.Shards; shard++)
        {
            int at = shard;
            if (recovery.IsUnavailable(at))
            {
                continue;
            }

            RaftGroup[] groups = [.. _left.Select(n => n.ReplicaOf(at)?.Group).OfType<RaftGroup>()];
            RaftGroup? leader = groups.Where(static g => g.Role == RaftRole.Leader).MaxBy(static g => g.Term.Value);
            if (
                leader is null
                || leader.Membership.IsJoint
                || groups.Any(g => g.Leader != leader.Leader || g.AppliedIndex != leader.LastIndex)
                // Who else is to have the shards, in other worlds nobody decides any more.
                || ((cluster.IsPlanned || recovery.GoesOnWithout(at))
                    && leader.Membership.Members.Any(id => _left.TrueForAll(n => n.Id != id))))
            {
                return false;
            }
        }

        return true;
    }

    private void CompareStates()
    {
        for (int shard = 0; shard < cluster.Shards; shard++)
        {
            int at = shard;
            if (_left.Select(n => n.ReplicaOf(at)?.Machine.StateHash()).OfType<ulong>().Distinct().Count() > 1)
            {
                throw new SimulationException($"shard {shard}: replicas differ after a recovery: " + Describe());
            }
        }
    }

    private string Describe() =>
        $"left {string.Join(' ', _left.Select(static n => n.Index))}, lost {string.Join(' ', _lost.Select(static n => n.Index))}; "
            + cluster.Describe();
}
