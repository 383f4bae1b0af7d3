using Grpc.Core;
using Grpc.Net.Client;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;
using Henge.Server.Cluster;
using Henge.Server.Tests.Fakes;
using Microsoft.Extensions.Time.Testing;

namespace Henge.Server.Tests.Grpc;

/// <summary>The topology as it changes, for clients that route by themselves.</summary>
public sealed class TopologyWatchTests
{
    [Fact]
    public async Task A_caller_gets_the_whole_and_then_what_has_changed()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        using var channel = GrpcChannel.ForAddress("http://" + server.Address);
        using AsyncServerStreamingCall<TopologyResponse> call = new Protocol.V1.Cluster.ClusterClient(channel)
            .WatchTopology(new WatchTopologyRequest(), deadline: DateTime.UtcNow + RunningServer.Patience);
        TopologyResponse whole = await NextAsync(call);
        Assert.Equal(("fake", 4U, 4, 2), (whole.ClusterId, whole.ShardCount, whole.Shards.Count, whole.Nodes.Count));

        server.Node.ChangeLeader(2, leader: 2, term: 4);
        TopologyResponse change = await NextAsync(call);
        ShardInfo shard = Assert.Single(change.Shards);
        Assert.Equal((2U, "node2", 4UL), (shard.Shard, shard.LeaderId, shard.Term));
        Assert.Empty(change.Nodes);
        Assert.Equal(4U, change.ShardCount);

        // Nodes have changed: the whole again.
        server.Node.Told = server.Node.GetTopology() with
        {
            MembersVersion = new Core.Version(77),
            Nodes = [new NodeEntry(new NodeId(1), "node1", "127.0.0.1:1")],
        };
        server.Node.ChangeTopology();
        TopologyResponse left = await NextAsync(call);
        Assert.Equal((77UL, 4), (left.MembersGeneration, left.Shards.Count));
        Assert.Equal(["node1"], left.Nodes.Select(static n => n.NodeId));

        await server.Server.StopAsync();
        RpcException end = await Assert.ThrowsAsync<RpcException>(() => NextAsync(call));
        Assert.Equal(GrpcErrors.ToTrailer(ErrorCode.Stopping), end.Trailers.GetValue(GrpcHeaders.HengeError));
    }

    [Fact]
    public async Task A_node_that_does_not_know_its_cluster_yet_says_so()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        server.Node.Told = server.Node.GetTopology() with { ClusterId = "" };
        using var channel = GrpcChannel.ForAddress("http://" + server.Address);
        using AsyncServerStreamingCall<TopologyResponse> call = new Protocol.V1.Cluster.ClusterClient(channel)
            .WatchTopology(new WatchTopologyRequest(), deadline: DateTime.UtcNow + RunningServer.Patience);
        RpcException end = await Assert.ThrowsAsync<RpcException>(() => NextAsync(call));
        Assert.Equal(StatusCode.Unavailable, end.StatusCode);
    }

    [Fact]
    public void Changes_are_gathered_and_nothing_is_done_while_nobody_watches_or_nothing_changes()
    {
        FakeTimeProvider time = new();
        using FakeNode node = new();
        using TopologyFeed feed = new(node, time);
        node.ChangeLeader(0, leader: 2, term: 4);
        int read = node.TopologiesRead;
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(read, node.TopologiesRead);

        TopologyEdition first = feed.Enter();
        Assert.Equal(read + 1, node.TopologiesRead);
        Assert.Same(first, feed.Enter());
        time.Advance(TimeSpan.FromSeconds(100));
        Assert.Equal(read + 1, node.TopologiesRead);

        // After a time of rest a change is told at once, and what comes close behind it together.
        node.ChangeLeader(1, leader: 2, term: 4);
        time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.True(first.Superseded.IsCompleted);
        TopologyEdition second = feed.Current;
        Assert.Equal([1U], ShardsIn(second));
        node.ChangeLeader(2, leader: 2, term: 4);
        node.ChangeLeader(3, leader: 2, term: 4);
        node.ChangeLeader(2, leader: 1, term: 5);
        time.Advance(TimeSpan.FromMilliseconds(40));
        Assert.Same(second, feed.Current);
        time.Advance(TimeSpan.FromMilliseconds(10));
        Assert.Equal([2U, 3U], ShardsIn(feed.Current));
        Assert.Equal(second.Number + 1, feed.Current.Number);

        // What looks the same from outside is no news.
        TopologyEdition third = feed.Current;
        node.ChangeTopology();
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Same(third, feed.Current);
        Assert.False(third.Superseded.IsCompleted);

        feed.Leave();
        feed.Leave();
        read = node.TopologiesRead;
        node.ChangeTopology();
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(read, node.TopologiesRead);
    }

    private static IEnumerable<uint> ShardsIn(TopologyEdition edition) =>
        TopologyResponse.Parser.ParseFrom(edition.Changes.Span).Shards.Select(static s => s.Shard);

    private static async Task<TopologyResponse> NextAsync(AsyncServerStreamingCall<TopologyResponse> call)
    {
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        return call.ResponseStream.Current;
    }
}
