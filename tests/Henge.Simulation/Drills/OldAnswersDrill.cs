using Henge.Core;
using Henge.Simulation.World;
using Henge.Testing.Files;

namespace Henge.Simulation.Drills;

/// <summary>
/// A leader restarts, leads again, and is cut off: all that it hears from then on are answers to what it had asked before the restart. They
/// prove nothing about the new life.
/// </summary>
internal sealed class OldAnswersDrill(DrillStage stage)
{
    private const int ReplayMs = 10;

    /// <summary>Plays it for one shard of three nodes or more.</summary>
    public void Run()
    {
        int shard = stage.Random.Next(stage.Cluster.Shards);
        if (stage.Cluster.Nodes.Count == 1 || stage.LeaderOf(shard) is not { } leader)
        {
            return;
        }

        // So long that numbers of before the restart are above those of after it.
        stage.Pass(1_500);
        SimNode[] others = [.. stage.Cluster.Nodes.Where(n => n != leader)];
        (SimNode From, byte[][] Frames)[] old = [.. others.Select(n => (n, stage.Cluster.Network.Sent(n, leader)))];
        leader.Crash(CrashMode.KeepAll);
        stage.Pass(stage.Random.Between(1, 20));
        leader.Start();
        stage.Settle("a leader was restarted");
        if (!LeadAgain(leader, shard))
        {
            return;
        }

        stage.Cluster.Network.Isolate(leader.Index);
        int epoch = leader.Epoch;
        bool over = false;
        void Replay()
        {
            if (over || leader.Epoch != epoch)
            {
                return;
            }

            foreach ((SimNode _, byte[][] frames) in old)
            {
                Array.ForEach(frames, leader.Receive);
            }

            stage.World.AfterMs(ReplayMs, Replay);
        }

        Replay();
        ulong written = stage.WriteByNewLeader(others, shard, withinMs: 1_000, others[0]);
        if (written != 0)
        {
            stage.Cluster.Statistics.OldAnswersTried++;
            stage.MustNotMiss(leader, shard, written, withinMs: 200, "Answers of before a restart came after it");
        }

        over = true;
        stage.Settle("old answers came");
    }

    private bool LeadAgain(SimNode node, int shard)
    {
        if (DrillStage.Leads(node, shard))
        {
            return true;
        }

        stage.LeaderOf(shard)?.Node!.TransferLeader(new ShardId((uint)shard), new NodeId((ulong)node.Index + 1));
        stage.World.RunUntil(stage.World.NowMs + 1_000, () => DrillStage.Leads(node, shard));
        stage.Pass(60);
        return DrillStage.Leads(node, shard);
    }
}
