using Henge.Simulation.Clients;
using Henge.Simulation.World;

namespace Henge.Simulation.Drills;

/// <summary>Workers that hang while their nodes' other workers go on. Nodes may speak, and answer, only for workers that run.</summary>
internal sealed class HungWorkerDrills(DrillStage stage)
{
    private const long HangMs = 5_000;

    private SimCluster Cluster => stage.Cluster;

    /// <summary>Plays both of them, in clusters of several nodes with several workers.</summary>
    public void Run()
    {
        if (Cluster.Nodes.Count == 1 || Cluster.Nodes[0].Workers == 1)
        {
            return;
        }

        HangLeader();
        HangFollowers();
    }

    /// <summary>
    /// The shards of a worker that hangs must find other leaders soon, whatever the other workers of its node have to say.
    /// </summary>
    private void HangLeader()
    {
        if (WhoLeads() is not var (leader, lane, led))
        {
            return;
        }

        leader.BlockWorker(lane, HangMs);
        if (
            !stage.World.RunUntil(
                stage.World.NowMs + HangMs - 1,
                () => led.All(i => Cluster.Nodes.Any(n => n != leader && DrillStage.Leads(n, i)))))
        {
            throw new SimulationException(
                $"Worker {lane} of node {leader.Index} hangs, and after {HangMs} ms its shards still have no other leaders: "
                    + Cluster.Describe());
        }

        Cluster.Statistics.HungWorkersReplaced++;
        leader.Unblock(lane);
        stage.Settle("a leader's worker hung");
    }

    /// <summary>
    /// A leader whose followers' workers hang can commit nothing: it has to know that, whatever the other workers of their nodes answer.
    /// </summary>
    private void HangFollowers()
    {
        if (WhoLeads() is not var (leader, lane, led))
        {
            return;
        }

        SimNode[] others = [.. Cluster.Nodes.Where(n => n != leader)];
        Array.ForEach(others, n => n.BlockWorker(lane, HangMs));
        if (!stage.World.RunUntil(stage.World.NowMs + HangMs - 1, () => !led.Any(i => DrillStage.Leads(leader, i))))
        {
            throw new SimulationException(
                $"Worker {lane} of all nodes but {leader.Index} hangs, and after {HangMs} ms that node still takes itself for a leader of "
                    + $"its shards: "
                    + Cluster.Describe());
        }

        Cluster.Statistics.LeadersWithoutWorkers++;
        Array.ForEach(others, n => n.Unblock(lane));
        stage.Settle("followers' workers hung");
    }

    private (SimNode Leader, int Lane, int[] Led)? WhoLeads()
    {
        int lane = Cluster.Nodes[0].Workers - 1;

        // A member that joined may lead the catalog, and does not hang here.
        int shards = Cluster.Shards + (Cluster.Machines.Count > Cluster.Nodes.Count ? 0 : 1);
        foreach (SimNode node in Cluster.Nodes)
        {
            int[] led =
            [
                .. Enumerable
                    .Range(0, shards)
                    .Where(i => DrillStage.Leads(node, i) && node.ReplicaOf(i)!.Worker.Index == lane),
            ];
            if (led.Length > 0)
            {
                return (node, lane, led);
            }
        }

        return null;
    }
}
