using Henge.Core;
using Henge.Node.Api;
using Henge.Storage;

namespace Henge.Node.Tests.Clusters;

public sealed class AllocationTests
{
    [Fact]
    public void A_read_allocates_nothing_of_its_own()
    {
        var cluster = new ClusterHarness(1);
        HarnessNode node = cluster.Nodes[0];
        HarnessOperation[] gets = [.. Enumerable.Range(0, 500).Select(static i => HarnessOperation.Get($"k{i}"))];
        foreach (HarnessOperation get in gets)
        {
            cluster.Put(node, System.Text.Encoding.UTF8.GetString(get.Key.Span), "value");
        }

        long before = 0;
        const int Rounds = 40;
        for (int round = 0; round < Rounds; round++)
        {
            if (round == Rounds / 2)
            {
                before = GC.GetAllocatedBytesForCurrentThread();
            }

            foreach (HarnessOperation get in gets)
            {
                get.Consistency = ReadConsistency.Linearizable;
            }

            node.Running.Submit(gets);
            while (node.RunOne())
            {
            }

            foreach (HarnessOperation get in gets)
            {
                // The asserts of the test framework allocate.
                if (get.Error != ErrorCode.None || !node.Running.TryRead(get, out PinnedValue value))
                {
                    throw new InvalidOperationException(get.ToString());
                }

                value.Dispose();
            }
        }

        double each = (GC.GetAllocatedBytesForCurrentThread() - before) / (double)(gets.Length * Rounds / 2);
        Assert.True(each < 8, $"{each} bytes a read");
    }
}
