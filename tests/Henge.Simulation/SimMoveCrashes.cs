using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Simulation.Clients;
using Henge.Simulation.World;
using Henge.Testing.Files;

namespace Henge.Simulation;

/// <summary>
/// In a cluster that plans for itself, whoever takes a step of a move crashes in the middle of it, or just after: the leader that proposes
/// a configuration, the node where a replica begins, is made from a snapshot or is dropped, the leader that sends one, who hears that a
/// member leaves, and the catalog's leader while anything is not yet where the plan has it.
/// </summary>
internal sealed class SimMoveCrashes(SimCluster cluster, SimRandom random)
{
    private bool _peace;

    /// <summary>Begins.</summary>
    public void Start()
    {
        foreach (SimNode node in cluster.Nodes)
        {
            Watch(node);
        }

        cluster.World.AfterMs(random.Between(500, 2_000), Turn);
    }

    /// <summary>From now on nobody crashes.</summary>
    public void EndFaults() => _peace = true;

    /// <summary>A machine that has joined is watched as well.</summary>
    public void Watch(SimNode node) => node.Stepped = (name, arguments) => OnStep(node, name, arguments);

    private void OnStep(SimNode node, string name, object?[] arguments)
    {
        if (_peace || cluster.IsOver)
        {
            return;
        }

        SimStatistics statistics = cluster.Statistics;
        switch (name)
        {
            case nameof(INodeEvents.MembershipChangeProposed) when IsNow(node, 60):
                statistics.CrashesAtProposal++;
                break;
            case nameof(INodeEvents.ReplicaBegun) when IsNow(node, 80):
                statistics.CrashesAtBirth++;
                break;
            case nameof(INodeEvents.SnapshotSending) when IsNow(node, 150):
                statistics.CrashesAtSending++;
                break;
            case nameof(INodeEvents.SnapshotInstalled) when IsNow(node, 150):
                statistics.CrashesAtInstall++;
                break;
            case nameof(INodeEvents.ReplicaDropped) when IsNow(node, 150):
                statistics.CrashesAtDrop++;
                break;
            case nameof(INodeEvents.MemberChanged) when arguments[2] is MemberState.Leaving or MemberState.Draining && IsNow(node, 20):
                statistics.CrashesAtMemberChange++;
                break;
            default:
                break;
        }
    }

    private void Turn()
    {
        if (_peace || cluster.IsOver)
        {
            return;
        }

        if (cluster.LeaderOf(cluster.Shards) is { Node: { } planner } leader
            && planner.Parts.Placements.Read() is { } state && !state.Goal.HasSameReplicas(state.Followed) && IsNow(leader, 600))
        {
            cluster.Statistics.CrashesAtPlan++;
        }

        cluster.World.AfterMs(random.Between(50, 500), Turn);
    }

    private bool IsNow(SimNode node, int perMille)
    {
        if (!random.PerMille(perMille))
        {
            return false;
        }

        // In the middle of the step, with nothing of it on the disk, or with some or all of it there.
        CrashMode mode = random.Pick<CrashMode>([CrashMode.KeepAll, CrashMode.LoseAllUnsynced, CrashMode.LoseRandomPart]);
        if (random.PerMille(500))
        {
            Crash(node, mode);
            return true;
        }

        int epoch = node.Epoch;
        cluster.World.After(random.Between(0, 3_000_000), () =>
        {
            if (!_peace && node.Epoch == epoch)
            {
                Crash(node, mode);
            }
        });
        return true;
    }

    private static void Crash(SimNode node, CrashMode mode)
    {
        if (node.Node is not null)
        {
            node.Crash(mode);
            node.RestartLater();
        }
    }
}
