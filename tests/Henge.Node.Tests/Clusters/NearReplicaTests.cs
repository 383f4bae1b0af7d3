using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;

namespace Henge.Node.Tests.Clusters;

/// <summary>Which replica a node asks that has none: the nearest for stale reads; and none that is not there for writes.</summary>
public sealed class NearReplicaTests
{
    private const uint Shard = 2;
    private static readonly ShardMap Map = new(4);
    private static readonly string Key =
        Enumerable.Range(0, 1_000).Select(static i => $"key{i}").First(static k => Map.ShardOf(Encoding.UTF8.GetBytes(k)).Value == Shard);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void A_stale_read_goes_to_the_replica_in_the_nodes_own_zone(int which)
    {
        // Where the shard is depends on numbers alone as long as no two share a zone, so a first cluster tells whom to put together.
        ClusterHarness before = Start(static _ => "");
        string stranger = Stranger(before).Name, near = Hosts(before)[which].Name;
        ClusterHarness cluster = Start(name => name == stranger || name == near ? "here" : "there-" + name);
        HarnessNode asker = cluster.Nodes.First(n => n.Name == stranger), host = cluster.Nodes.First(n => n.Name == near);
        Assert.False(asker.Hosts(Shard));
        Assert.True(host.Hosts(Shard));
        cluster.Put(asker, Key, "v");
        cluster.Run(1_500);
        Assert.All(Enumerable.Range(0, 5), _ => Assert.Equal([host.Id], AskedBy(cluster, asker)));

        // Whoever has a replica asks nobody.
        Assert.All(Hosts(cluster), n => Assert.Empty(AskedBy(cluster, n)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Without_zones_it_goes_to_the_one_that_answers_fastest_and_when_that_is_silent_to_the_next(int which)
    {
        ClusterHarness cluster = Start(static _ => "");
        HarnessNode asker = Stranger(cluster), near = Hosts(cluster)[which], next = Hosts(cluster)[(which + 1) % 3];
        cluster.Put(asker, Key, "v");
        cluster.Network.Delay = (from, to) =>
            (from != asker.Id && to != asker.Id) || from == near.Id || to == near.Id ? 0
            : from == next.Id || to == next.Id ? 10
            : 60;

        // What was measured before is kept for three seconds.
        cluster.Run(6_000);
        Assert.All(Enumerable.Range(0, 5), _ => Assert.Equal([near.Id], AskedBy(cluster, asker)));
        cluster.Network.Hold = (from, to, _) => (from, to) == (near.Id, asker.Id) || (from, to) == (asker.Id, near.Id);
        cluster.Run(NearReplicas.SilentMs + 1_000);
        Assert.All(Enumerable.Range(0, 5), _ => Assert.Equal([next.Id], AskedBy(cluster, asker)));
    }

    [Fact]
    public void A_write_to_a_leader_that_is_silent_is_kept_and_then_refused_and_goes_out_when_it_is_heard_again()
    {
        ClusterHarness cluster = Start(static _ => "");
        HarnessNode asker = Stranger(cluster);
        cluster.Put(asker, Key, "before");
        HashSet<NodeId> hosts = [.. Hosts(cluster).Select(static n => n.Id)];

        // Lost without a sign: as by a switch that broke. Connections stand.
        cluster.Network.Hold = (from, to, _) => (from == asker.Id && hosts.Contains(to)) || (to == asker.Id && hosts.Contains(from));
        cluster.Run(NearReplicas.SilentMs + 1_000);
        HarnessOperation put = HarnessOperation.Put(Key, "never");
        put.DeadlineMs = asker.Running.MonotonicMs + 1_000;
        Assert.Equal(ErrorCode.Unavailable, cluster.Complete(asker, put).Error);
        Assert.True(asker.Running.GetTopology().Shards[(int)Shard].Leader.IsNone);
        HarnessOperation late = HarnessOperation.Put(Key, "after");
        asker.Running.Submit(late);
        cluster.Run(500);
        Assert.False(late.IsDone);
        cluster.Network.LetGo();
        cluster.RunUntil(() => late.IsDone);
        Assert.Equal((ErrorCode.None, "after"), (late.Error, cluster.Get(asker, Key)));
    }

    private static ClusterHarness Start(Func<string, string> zoneOf)
    {
        var cluster = new ClusterHarness(
            5,
            1,
            o => o with { ReplicationFactor = 3, MovesShards = false, Zone = zoneOf(o.Name) });
        cluster.RunUntilLed();
        cluster.Run(2_000);
        return cluster;
    }

    private static HarnessNode Stranger(ClusterHarness cluster) => cluster.Nodes.First(static n => !n.Hosts(Shard));

    private static HarnessNode[] Hosts(ClusterHarness cluster) => [.. cluster.Nodes.Where(static n => n.Hosts(Shard))];

    private static List<NodeId> AskedBy(ClusterHarness cluster, HarnessNode asker)
    {
        List<NodeId> asked = [];
        cluster.Network.Lose = (from, to, frame) =>
        {
            if (from == asker.Id && frame.Length > PeerFrame.HeaderBytes
                && (PeerRecordKind)frame[PeerFrame.HeaderBytes] == PeerRecordKind.ReadForward)
            {
                asked.Add(to);
            }

            return false;
        };
        Assert.Equal("v", cluster.Get(asker, Key, ReadConsistency.Stale));
        cluster.Network.Lose = null;
        return asked;
    }
}
