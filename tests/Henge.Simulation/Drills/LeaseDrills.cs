using Henge.Node.Api;
using Henge.Simulation.World;
using Henge.Testing.Files;

namespace Henge.Simulation.Drills;

/// <summary>
/// Three nodes, whose reads go by leases. The leader and one follower no longer hear each other, so the lease rests on the promise of the
/// other one, the voter. Then that promise, or the leader's clock, is put to the test, while the leader is cut off and the others elect
/// another.
/// </summary>
internal sealed class LeaseDrills(DrillStage stage)
{
    private const long LongestPromiseMs = 150;

    /// <summary>Plays all of them, for one shard.</summary>
    public void Run()
    {
        if (!stage.Cluster.ByLease || stage.Cluster.Nodes.Count != 3)
        {
            return;
        }

        int shard = stage.Random.Next(stage.Cluster.Shards);
        LatePromise(shard);
        PromiseOfBefore(shard);
        Sleep(shard);
    }

    /// <summary>The voter's workers are held up: it hears the leader late, and makes up for its ticks at once.</summary>
    private void LatePromise(int shard)
    {
        if (Rely(shard) is not var (leader, voter, apart))
        {
            return;
        }

        // Shorter than a leader without an answer goes on.
        long ms = stage.Random.Between(90, 140);
        for (int lane = 0; lane < voter.Workers; lane++)
        {
            voter.BlockWorker(lane, ms);
        }

        stage.Pass(ms + 2);
        stage.Cluster.Network.Isolate(leader.Index);
        Overtake(leader, [voter, apart], shard, apart, "A follower was late to hear of the leader");
        stage.Settle("a promise was late");
    }

    /// <summary>
    /// The voter crashes, and starts again at once with reads that do not go by leases, as in a change of that setting node by node.
    /// </summary>
    private void PromiseOfBefore(int shard)
    {
        if (Rely(shard) is not var (leader, voter, apart))
        {
            return;
        }

        stage.Cluster.Network.Isolate(leader.Index);
        voter.Reads = ReadConsistency.Linearizable;
        voter.Crash(CrashMode.KeepAll);
        stage.Pass(stage.Random.Between(1, 5));
        voter.Start();
        Overtake(leader, [voter, apart], shard, apart, "A follower was restarted with another setting");
        voter.Reads = null;
        stage.Settle("a voter was restarted");
    }

    /// <summary>The leader's machine sleeps while the others elect another one. When it wakes up, it must know how long it slept.</summary>
    private void Sleep(int shard)
    {
        if (stage.LeaderOf(shard) is not { } leader || !GoesByLeases(leader))
        {
            return;
        }

        SimNode[] others = [.. stage.Cluster.Nodes.Where(n => n != leader)];
        stage.Pass(stage.Random.Between(0, 50));
        stage.Cluster.Network.Isolate(leader.Index);
        leader.Suspend(60_000);
        ulong written = stage.WriteByNewLeader(others, shard, withinMs: 2_000, others[0]);
        leader.Resume();
        if (written != 0)
        {
            stage.Cluster.Statistics.LeasesTried++;
            stage.MustNotMiss(leader, shard, written, withinMs: 100, "The leader's machine slept");
        }

        stage.Settle("a leader slept");
    }

    /// <summary>Has a leader's lease rest on one follower alone. Null when there is no leader with a lease.</summary>
    private (SimNode Leader, SimNode Voter, SimNode Apart)? Rely(int shard)
    {
        if (stage.LeaderOf(shard) is not { } leader || !GoesByLeases(leader))
        {
            return null;
        }

        SimNode[] others = [.. stage.Cluster.Nodes.Where(n => n != leader)];
        int voter = stage.Random.Next(2);
        stage.Cut(leader, others[1 - voter]);

        // Until the follower that hears nothing has no promise left itself.
        stage.Pass(LongestPromiseMs + stage.Random.Between(20, 120));
        return DrillStage.Leads(leader, shard) ? (leader, others[voter], others[1 - voter]) : null;
    }

    private void Overtake(SimNode leader, SimNode[] others, int shard, SimNode urged, string why)
    {
        ulong written = stage.WriteByNewLeader(others, shard, withinMs: 2_000, urged);
        if (written != 0)
        {
            stage.Cluster.Statistics.LeasesTried++;
            stage.MustNotMiss(leader, shard, written, withinMs: 100, why);
        }
    }

    private static bool GoesByLeases(SimNode node) => node.Node?.Options.Reads == ReadConsistency.Lease;
}
