using Henge.Simulation.Scale;

namespace Henge.Simulation.Tests;

/// <summary>What an operation takes does not grow with the cluster: counts of the simulator, which are the same on every machine.</summary>
public sealed class ScaleTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1_000)]
    public void Messages_bytes_and_syncs_for_an_operation_do_not_grow_with_the_cluster(int writesPerMille)
    {
        // From six nodes on: of three each has all shards, so that messages of several of them share frames.
        ScaleResult small = ScaleRun.Run(ScaleSetting.ForNode(6) with { WritesPerMille = writesPerMille });
        ScaleResult large = ScaleRun.Run(ScaleSetting.ForNode(12) with { WritesPerMille = writesPerMille });
        Assert.InRange(large.Frames / small.Frames, 0.9, 1.1);
        Assert.InRange(large.Bytes / small.Bytes, 0.9, 1.1);
        if (writesPerMille > 0)
        {
            Assert.InRange(large.Syncs / small.Syncs, 0.9, 1.1);
        }
    }

    [Theory]
    [InlineData(4)]
    [InlineData(16)]
    public void A_node_of_twelve_does_what_a_node_of_three_does(int shardsForNode)
    {
        ScaleResult small = ScaleRun.Run(ScaleSetting.ForNode(3, shardsForNode));
        ScaleResult large = ScaleRun.Run(ScaleSetting.ForNode(12, shardsForNode));
        Assert.InRange(large.OperationsForNode(1) / small.OperationsForNode(1), 0.9, 1.1);
        Assert.Equal((shardsForNode, shardsForNode), large.Leaders);
        Assert.Equal((3 * shardsForNode, 3 * shardsForNode), large.Replicas);
    }
}
