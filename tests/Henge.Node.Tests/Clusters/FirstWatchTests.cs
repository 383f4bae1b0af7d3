using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Tests.Watch;

namespace Henge.Node.Tests.Clusters;

/// <summary>Watches that are opened as soon as a new cluster lets them be opened.</summary>
public sealed class FirstWatchTests
{
    private const long HistoryMs = 600_000;

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void A_watch_of_a_cluster_that_was_never_written_to_goes_on_without_a_gap(int nodes)
    {
        var cluster = new ClusterHarness(nodes, configure: static o => o with { HistoryMs = HistoryMs });
        IWatch? watch = null;
        cluster.RunUntil(() => (watch = TryOpen(cluster.Nodes[^1], new WatchQuery())) is not null);
        byte[] token = watch!.ResumeToken;
        watch.Dispose();

        for (int i = 0; i < 40; i++)
        {
            cluster.Put(cluster.Nodes[0], $"k{i}", "v");
        }

        // The nodes let go of what is older than their history, but nothing of this.
        cluster.RunUntil(() => cluster.Nodes.All(static n => !n.Running.OldestVersion.IsZero), limitMs: 20_000);
        foreach (HarnessNode node in cluster.Nodes)
        {
            using IWatch resumed = node.Running.OpenWatch(new WatchQuery { Resume = token }, static () => { });
            var seen = new WatchRecorder();
            cluster.RunUntil(() =>
            {
                while (resumed.TryRead(seen, 10, 1 << 20))
                {
                }

                return seen.Events.Count >= 40;
            });
            Assert.Equal(40, seen.Events.Distinct().Count());
            Assert.Equal(40, seen.Events.Count);
        }
    }

    [Fact]
    public void A_node_that_knows_no_version_of_a_shard_opens_no_watch_that_could_not_go_on()
    {
        var cluster = new ClusterHarness(3, start: false);
        cluster.Nodes[0].Start();
        cluster.Nodes[1].Start();
        cluster.RunUntil(() => TryOpen(cluster.Nodes[1], new WatchQuery()) is not null);
        cluster.Nodes[2].Start();
        Assert.Null(TryOpen(cluster.Nodes[2], new WatchQuery()));
        cluster.RunUntil(() => cluster.Nodes[2].Running.ClusterId.Length > 0);
        cluster.RunUntil(() => TryOpen(cluster.Nodes[2], new WatchQuery()) is not null);
        Assert.All(Enumerable.Range(0, 4), s => Assert.False(cluster.Nodes[2].Replica((uint)s).AppliedVersion.IsZero));
    }

    private static IWatch? TryOpen(HarnessNode node, WatchQuery query)
    {
        try
        {
            return node.Running.OpenWatch(query, static () => { });
        }
        catch (HengeException e) when (e.Code == ErrorCode.Unavailable)
        {
            return null;
        }
    }
}
