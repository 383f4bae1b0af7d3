using Henge.Core;
using Henge.Node.StateMachine;
using Henge.Simulation.World;

namespace Henge.Simulation.Drills;

/// <summary>
/// A write that was sent on to a leader lies in a connection that nobody reads. Its client gives up, uses its number up by another node,
/// and writes on. Then the frame arrives: it must not take effect behind what was written after it (decision 0170).
/// </summary>
internal sealed class VoidedWriteDrill(DrillStage stage)
{
    private const ulong Client = 1UL << 40;
    private const long PatienceMs = 300;

    /// <summary>Plays it for one shard of three nodes or more.</summary>
    public void Run()
    {
        int shard = stage.Random.Next(stage.Cluster.Shards);
        if (stage.Cluster.Nodes.Count < 3 || stage.LeaderOf(shard) is not { } leader)
        {
            return;
        }

        SimNode[] others = [.. stage.Cluster.Nodes.Where(n => n != leader)];
        SimNode giver = others[0], other = others[1];
        var session = new SessionStamp(Client, 2, SessionFlags.Continues);
        _ = stage.Write(other, shard, session with { Sequence = 1, Flags = SessionFlags.None });
        SimNetwork network = stage.Cluster.Network;
        network.Hold(giver, leader);
        DrillWrite stuck = stage.Send(giver, shard, PatienceMs, session);
        stage.World.RunUntil(stage.World.NowMs + (2 * PatienceMs), () => stuck.Ended is not null);
        if (stuck.Ended is { Error: ErrorCode.UnknownOutcome } && stage.Void(other, shard, session)
            && stage.Write(other, shard, session with { Sequence = 3 }) is var written and not 0)
        {
            stage.Cluster.Statistics.NumbersVoided++;
            network.Release();
            stage.Pass(50);
            stage.MustStand(other, shard, written, "A write whose number had been used up came late");
        }

        network.Release();
        stage.Settle("a forwarded write was stuck");
    }
}
