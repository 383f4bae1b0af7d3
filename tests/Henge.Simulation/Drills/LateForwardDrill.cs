using Henge.Core;
using Henge.Simulation.World;

namespace Henge.Simulation.Drills;

/// <summary>
/// A follower sends a write on to the leader, and the frame is long on its way. Another node leads, and takes the follower's next write;
/// then the first leads again, in a later term, and the frame comes. It must not take effect behind the write that was sent after it
/// (decision 0141).
/// </summary>
internal sealed class LateForwardDrill(DrillStage stage)
{
    private const long PatienceMs = 20_000;

    /// <summary>Plays it for one shard of three nodes or more.</summary>
    public void Run()
    {
        int shard = stage.Random.Next(stage.Cluster.Shards);
        if (stage.Cluster.Nodes.Count == 1 || stage.LeaderOf(shard) is not { } leader)
        {
            return;
        }

        SimNode[] others = [.. stage.Cluster.Nodes.Where(n => n != leader)];
        int from = stage.Random.Next(others.Length);
        SimNode giver = others[from], successor = others[(from + 1) % others.Length];
        SimNetwork network = stage.Cluster.Network;
        network.Hold(giver, leader);
        DrillWrite first = stage.Send(giver, shard, PatienceMs);
        stage.Pass(stage.Random.Between(5, 20));
        if (HandOver(leader, successor, shard))
        {
            DrillWrite second = stage.Send(giver, shard, PatienceMs);
            stage.World.RunUntil(stage.World.NowMs + 2_000, () => second.Ended is not null);
            if (second.Version != 0 && first.Ended is null && HandOver(successor, leader, shard))
            {
                stage.Cluster.Statistics.LateForwardsTried++;
                network.Release();
                stage.World.RunUntil(stage.World.NowMs + PatienceMs, () => first.Ended is not null);
                if (first.Version > second.Version)
                {
                    throw new SimulationException(
                        $"A write that node {giver.Index} had sent on to the leader of an earlier term took effect at version "
                            + $"{first.Version}, "
                        + $"behind the one that was sent after it, at {second.Version}.");
                }
            }
        }

        network.Release();
        stage.Settle("a forwarded write was late");
    }

    private bool HandOver(SimNode from, SimNode to, int shard)
    {
        try
        {
            from.Node!.TransferLeader(new ShardId((uint)shard), new NodeId((ulong)to.Index + 1));
        }
        catch (HengeException e) when (e.Code is ErrorCode.NotLeader or ErrorCode.Unavailable)
        {
            // Just elected, or no more: what it says of itself lags behind. Or the other one is being rebuilt.
            return false;
        }

        return stage.World.RunUntil(stage.World.NowMs + 1_000, () => DrillStage.Leads(to, shard) && !DrillStage.Leads(from, shard));
    }
}
