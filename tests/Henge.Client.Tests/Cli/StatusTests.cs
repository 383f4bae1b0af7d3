using Henge.Cli.Output;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests.Cli;

/// <summary>What <c>henge status</c> makes of clusters in which not every node has every shard.</summary>
public sealed class StatusTests
{
    // Shards 0 and 1 on n1 to n3, led by n1 and n2; n4 has joined; n5 and n6 as well, and are down.
    private static ClusterState Cluster(string down = "n5,n6", string learner = "", string state4 = "up")
    {
        HashSet<string> gone = [.. down.Split(',')];
        Wire.ClusterStatusResponse all = new();
        Wire.TopologyResponse topology = new() { ClusterId = "c", ShardCount = 2 };
        foreach (string name in new[] { "n1", "n2", "n3", "n4", "n5", "n6" })
        {
            topology.Nodes.Add(new Wire.NodeInfo { NodeId = name, State = name == "n4" ? state4 : "up" });
            Wire.ClusterStatusResponse.Types.Node node = new() { NodeId = name, Address = name + ":1" };
            all.Nodes.Add(node);
            if (gone.Contains(name))
            {
                node.Error = "refused";
                continue;
            }

            node.Status = new Wire.StatusResponse { NodeId = name, Role = "follower", UptimeMs = 1000, Log = new Wire.LogStatus() };
            for (uint s = 0; s < 2 && string.CompareOrdinal(name, "n4") < 0; s++)
            {
                Wire.ShardStatus shard = new() { Shard = s, Role = name == "n" + (s + 1) ? "leader" : "follower", AppliedIndex = 5 };
                if (shard.Role == "leader")
                {
                    shard.Peers.AddRange(new[] { "n1", "n2", "n3" }
                        .Where(p => p != name)
                        .Select(static p => new Wire.PeerStatus { NodeId = p }));
                    if (learner.Length > 0)
                    {
                        shard.Peers.Add(new Wire.PeerStatus { NodeId = learner, Learner = true });
                    }
                }

                node.Status.Shards.Add(shard);
            }
        }

        topology.Shards.Add(new Wire.ShardInfo { Shard = 0, Replicas = { "n1", "n2", "n3" } });
        topology.Shards.Add(new Wire.ShardInfo { Shard = 1, Replicas = { "n1", "n2", "n3" } });
        return new ClusterState(all.Nodes.First(static n => n.Status is not null).Status, all, topology);
    }

    [Theory]
    [InlineData("n5,n6", "degraded", "4 of 6 nodes up (not n5, n6), every shard has a leader")]
    [InlineData("n4,n5,n6", "degraded", "3 of 6 nodes up (not n4, n5, n6), every shard has a leader")]
    [InlineData("n3,n4,n5,n6", "degraded", "2 of 6 nodes up (not n3, n4, n5, n6), every shard has a leader")]
    [InlineData("n2,n3", "unavailable", "4 of 6 nodes up (not n2, n3), no majority, so that nothing can be written or read linearizably")]
    [InlineData("n1", "unavailable", "5 of 6 nodes up (not n1), 1 of 2 shards without a leader")]
    [InlineData("n1,n2,n3", "unavailable", "3 of 6 nodes up (not n1, n2, n3), no majority, so that nothing can be written or read "
        + "linearizably")]
    [InlineData("", "healthy", "6 of 6 nodes up, every shard has a leader")]
    public void Only_nodes_that_have_a_shard_count_for_its_majority(string down, string word, string reason)
    {
        var verdict = ClusterVerdict.Of(Cluster(down));
        Assert.Equal((word, reason), (verdict.Word, verdict.Reason));
    }

    [Fact]
    public void Members_that_come_and_go_and_shards_that_move_are_told_of()
    {
        ClusterState state = Cluster("n5", learner: "n4", state4: "leaving");
        Assert.Equal(
            "5 of 6 nodes up (not n5), every shard has a leader, leaving: n4, 2 shards with a replica that catches up",
            ClusterVerdict.Of(state).Reason);
        string[] rows = StatusTables.Nodes(state.All!, state).Split('\n');
        Assert.EndsWith("STATE", rows[0].TrimEnd(), StringComparison.Ordinal);
        Assert.Contains("no shards", rows[5], StringComparison.Ordinal);
        Assert.Contains("0/0", rows[5], StringComparison.Ordinal);
        Assert.EndsWith("leaving", rows[5].TrimEnd(), StringComparison.Ordinal);
    }

    [Fact]
    public void Rates_do_not_count_shards_that_came_or_went()
    {
        StatusRates rates = new();
        Wire.ClusterStatusResponse Look(ulong uptime, params (uint Shard, ulong Applied)[] shards)
        {
            Wire.StatusResponse status = new() { NodeId = "n1", UptimeMs = uptime, Log = new Wire.LogStatus { Syncs = uptime / 10 } };
            status.Shards.AddRange(shards.Select(static s => new Wire.ShardStatus { Shard = s.Shard, AppliedIndex = s.Applied }));
            Wire.ClusterStatusResponse.Types.Node node = new() { NodeId = "n1", Status = status };
            return new Wire.ClusterStatusResponse { Nodes = { node } };
        }

        rates.Update(Look(1000, (0, 100), (1, 5000)));
        Wire.ClusterStatusResponse second = Look(2000, (0, 110), (2, 90_000));
        rates.Update(second);
        Assert.Equal(["10", "100"], rates.Of(second.Nodes[0].Status));
    }
}
