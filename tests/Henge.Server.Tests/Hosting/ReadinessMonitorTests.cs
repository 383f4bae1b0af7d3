using System.Collections.Concurrent;
using Henge.Server.Hosting;
using Henge.Server.Tests.Fakes;
using Henge.Server.Tests.Grpc;

namespace Henge.Server.Tests.Hosting;

public sealed class ReadinessMonitorTests
{
    [Fact]
    public async Task A_node_is_ready_when_every_shard_has_a_leader()
    {
        FakeNode node = new() { Leaderless = 3 };
        ConcurrentQueue<string?> told = new();
        await using ReadinessMonitor monitor = new(node, told.Enqueue);
        await GrpcRulesTests.Until(() => told.Count == 1);
        node.Leaderless = 1;
        node.ChangeTopology();
        await GrpcRulesTests.Until(() => told.Count == 2);
        node.Leaderless = 0;
        node.ChangeTopology();
        await GrpcRulesTests.Until(() => told.Count == 3);
        node.ShardError = "checksum of table 7 is wrong";
        await GrpcRulesTests.Until(() => told.Count == 4);
        Assert.Collection(
            told,
            first => Assert.StartsWith("3 of 4 shards have no leader", first),
            second => Assert.StartsWith("1 of 4 shards have no leader", second),
            Assert.Null,
            fourth => Assert.Equal("Shard s0: checksum of table 7 is wrong", fourth));
    }
}
