namespace Henge.Node.Tests.Clusters;

/// <summary>A node that was alone with a wrong clock, until others came whose clocks overrule it.</summary>
public sealed class OverruledClockTests
{
    [Fact]
    public void Its_shards_move_although_its_reads_were_judged_by_a_time_far_ahead()
    {
        const long hourMs = 3_600_000;
        ElasticCluster cluster = new(1, replicas: 1);
        ClusterHarness harness = cluster.Harness;
        HarnessNode first = harness.Nodes[0];
        cluster.Fill(40);

        // Reads after the last write are judged by the clock as it goes on without writes.
        first.Time.SkewMs = hourMs;
        harness.Run(20_000);
        cluster.AssertFilled(40);
        cluster.Join("node2", "10.0.0.2:7000");
        cluster.Join("node3", "10.0.0.3:7000");
        harness.RunUntil(
            () => cluster.Carried(new(2)) > 0 && cluster.Carried(new(3)) > 0,
            30_000,
            "the others have their share");
        cluster.RunUntilPlaced();
        cluster.AssertFilled(40);
    }
}
