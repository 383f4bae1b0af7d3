using Henge.Node.Workers;
using Henge.Raft;
using Henge.Simulation.World;
using Henge.Testing.Files;

namespace Henge.Simulation;

// What leases rest on, attacked on purpose: by chance these schedules hardly ever come about. Only with three nodes.
internal sealed partial class Nemesis
{
    private readonly HashSet<(int Node, int Epoch)> _deceived = [];

    private void AttackLease()
    {
        if (_over)
        {
            return;
        }

        int at = _random.Next(cluster.Shards);
        SimNode? leader = cluster.Nodes.FirstOrDefault(n =>
            !n.IsPaused && n.ReplicaOf(at)?.Group.Role == RaftRole.Leader);
        SimNode[] others = [.. cluster.Nodes.Where(n => n != leader)];
        if (leader is not null && others.Length == 2 && others.All(static n => n.Node is not null))
        {
            int voter = _random.Next(2);
            switch (_random.Next(3))
            {
                case 0:
                    CrashPromise(leader, others[voter], others[1 - voter], at);
                    break;
                case 1:
                    DelayPromise(leader, others[voter], others[1 - voter], at);
                    break;
                default:
                    SuspendLeader(leader);
                    break;
            }
        }

        World.AfterMs(_random.Between(800, 2_500), AttackLease);
    }

    /// <summary>
    /// One follower no longer hears the leader, and stands for election. The other one, whose promise is all that the lease rests on,
    /// crashes and is back at once.
    /// </summary>
    private void CrashPromise(SimNode leader, SimNode voter, SimNode apart, int at)
    {
        Statistics.PromisesCrashed++;
        CutOff(leader, apart);
        World.AfterMs(_random.Between(150, 500), () =>
        {
            if (_over || voter.Node is null)
            {
                return;
            }

            cluster.Network.Isolate(leader.Index);
            voter.Crash(CrashMode.KeepAll);
            World.AfterMs(_random.Between(1, 8), () =>
            {
                Statistics.Restarts += voter.Node is null ? 1 : 0;
                voter.Start();
            });
            AskToCampaign(apart, at);
            HealLater();
        });
    }

    /// <summary>
    /// The same, but the other follower's workers are held up: it hears the leader late, and then makes up for its ticks at once.
    /// </summary>
    private void DelayPromise(SimNode leader, SimNode voter, SimNode apart, int at)
    {
        Statistics.PromisesDelayed++;
        CutOff(leader, apart);
        World.AfterMs(_random.Between(50, 400), () =>
        {
            if (_over)
            {
                return;
            }

            long ms = _random.Between(100, 180);
            for (int lane = 0; lane < voter.Workers; lane++)
            {
                voter.BlockWorker(lane, ms);
            }

            World.After((ms * 1_000_000) + _random.Between(0, 2 * cluster.Network.Faults.DelayNs), () =>
            {
                if (!_over)
                {
                    cluster.Network.Isolate(leader.Index);
                    AskToCampaign(apart, at);
                    HealLater();
                }
            });
        });
    }

    /// <summary>The leader's machine sleeps, while others elect another one; it wakes up and cannot hear of that.</summary>
    private void SuspendLeader(SimNode leader)
    {
        Statistics.LeadersSuspended++;
        cluster.Network.Isolate(leader.Index);
        long ms = _random.Between(300, 1_500);
        leader.Suspend(ms);
        World.AfterMs(ms + _random.Between(100, 500), cluster.Network.Heal);
    }

    /// <summary>
    /// A node that was started anew leads again, and is cut off; all that it hears now are answers to what it had asked before its start.
    /// </summary>
    private void DeceiveRestarted(SimNode node)
    {
        if (
            _over
            || node.Epoch == 0
            || node.Node is null
            || cluster.Nodes.Count == 1
            || !node.Node.Parts.Hosted.All.Any(static r => r.Group.Role == RaftRole.Leader)
            || !_deceived.Add((node.Index, node.Epoch))
            || !_random.PerMille(500))
        {
            return;
        }

        World.AfterMs(_random.Between(20, 300), () =>
        {
            if (_over || node.Node is null)
            {
                return;
            }

            Statistics.RestartedDeceived++;
            cluster.Network.Heal();
            cluster.Network.Isolate(node.Index);
            cluster.Network.ReplayOldTo(node, 800);
            HealLater();
        });
    }

    /// <summary>
    /// Has a replica stand for election every few milliseconds, as far as its own promise allows: it must be the promise of the other that
    /// stops it.
    /// </summary>
    private void AskToCampaign(SimNode node, int at)
    {
        for (int ms = 3; ms < 100; ms += 12)
        {
            World.AfterMs(ms, () =>
            {
                if (!_over && !node.IsPaused && node.ReplicaOf(at) is { } replica)
                {
                    node.Guard("campaign", () => replica.Worker.Post(new WorkerAction(_ => replica.StandForElection())));
                }
            });
        }
    }

    private void CutOff(SimNode leader, SimNode apart)
    {
        cluster.Network.Heal();
        cluster.Network.Cut(leader.Index, apart.Index);
        cluster.Network.Cut(apart.Index, leader.Index);
    }
}
