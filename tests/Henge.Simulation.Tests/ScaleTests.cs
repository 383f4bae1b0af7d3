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
        ScaleResult small = ScaleRun.Run(6, writesPerMille), large = ScaleRun.Run(12, writesPerMille);
        Assert.InRange(large.Frames / small.Frames, 0.9, 1.1);
        Assert.InRange(large.Bytes / small.Bytes, 0.9, 1.1);
        if (writesPerMille > 0)
        {
            Assert.InRange(large.Syncs / small.Syncs, 0.9, 1.1);
        }
    }
}
