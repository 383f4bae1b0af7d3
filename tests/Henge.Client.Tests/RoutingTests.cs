using Henge.Client.Retry;
using Henge.Client.Routing;
using Henge.Client.Tests.Fakes;
using Henge.Core;
using Microsoft.Extensions.Time.Testing;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests;

public sealed class RoutingTests
{
    private static Wire.TopologyResponse Topology(
        ulong epoch,
        int shards,
        Func<int, string> leader,
        params (string Name, string Address)[] nodes)
    {
        Wire.TopologyResponse topology = new() { Epoch = epoch, ShardCount = (uint)shards };
        topology.Nodes.AddRange(nodes.Select(n => new Wire.NodeInfo { NodeId = n.Name, Address = n.Address }));
        topology.Shards.AddRange(Enumerable.Range(0, shards).Select(s => new Wire.ShardInfo { Shard = (uint)s, LeaderId = leader(s) }));
        return topology;
    }

    [Fact]
    public async Task Requests_go_straight_to_the_leader_of_their_key_once_it_is_known()
    {
        await using RealStore store = await RealStore.StartAsync();
        Wire.TopologyResponse topology = new();
        int asked = 0;
        async Task HandleAsync(FakeCall call)
        {
            if (call.Method == "Topology")
            {
                Wire.TopologyRequest request = (await call.ReadAsync(Wire.TopologyRequest.Parser))!;
                Interlocked.Increment(ref asked);
                if (request.NewerThanEpoch >= topology.Epoch)
                {
                    await call.HangAsync();
                    return;
                }

                await call.WriteAsync(topology);
                return;
            }

            await store.HandleAsync(call);
        }

        await using FakeNode first = await FakeNode.StartAsync(HandleAsync);
        await using FakeNode second = await FakeNode.StartAsync(HandleAsync);
        topology = Topology(1, 16, s => s % 2 == 0 ? "n1" : "n2", ("n1", first.Address), ("n2", second.Address));
        await using HengeClient client = new(new HengeClientOptions { Peers = [first.Address], UseSessions = false });
        while (Volatile.Read(ref asked) < 2)
        {
            await client.GetAsync("x");
        }

        first.Calls.Clear();
        second.Calls.Clear();
        int odd = 0;
        for (int i = 0; i < 50; i++)
        {
            odd += (int)new ShardMap(16).ShardOf(System.Text.Encoding.UTF8.GetBytes($"k{i}")).Value % 2;
            await client.PutAsync($"k{i}", "v");
        }

        Assert.Equal(50 - odd, first.Count("Put"));
        Assert.Equal(odd, second.Count("Put"));
    }

    [Fact]
    public void A_leader_that_cannot_be_reached_is_left_alone_for_a_while()
    {
        FakeTimeProvider time = new();
        Router router = new(new HengeClientOptions { Peers = ["a:1", "b:1"], TimeProvider = time });
        router.OnTopology(Topology(1, 1, _ => "n1", ("n1", "a:1"), ("n2", "b:1")));
        Assert.Equal("a:1", router.Choose("k"u8, null));

        router.OnUnreachable("a:1");
        Assert.Equal("b:1", router.Choose("k"u8, null));
        time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal("a:1", router.Choose("k"u8, null));
        Assert.Equal("b:1", router.Choose("k"u8, "a:1"));
    }

    [Fact]
    public void When_no_node_is_in_health_one_is_asked_all_the_same()
    {
        Router router = new(new HengeClientOptions { Peers = ["a:1"] });
        router.OnUnreachable("a:1");

        Assert.Equal("a:1", router.Choose("k"u8, "a:1"));
    }

    [Fact]
    public void A_hint_moves_the_lead_of_its_shard_only()
    {
        Router router = new(new HengeClientOptions { Peers = ["a:1"] });
        router.OnTopology(Topology(1, 16, _ => "n1", ("n1", "a:1"), ("n2", "b:1")));
        router.OnLeaderHint("k"u8, "b:1");

        ShardId shard = new ShardMap(16).ShardOf("k"u8);
        for (uint s = 0; s < 16; s++)
        {
            Assert.Equal(s == shard.Value ? "b:1" : "a:1", router.Map.LeaderOf(new ShardId(s)));
        }
    }

    [Fact]
    public void A_topology_that_makes_no_sense_does_no_harm()
    {
        Router router = new(new HengeClientOptions { Peers = ["a:1"] });
        router.OnTopology(new Wire.TopologyResponse { ShardCount = uint.MaxValue });
        Wire.TopologyResponse odd = Topology(1, 2, _ => "nobody", ("n1", "not an address"), ("n2", "b:1"));
        odd.Shards.Add(new Wire.ShardInfo { Shard = 77, LeaderId = "n2" });
        router.OnTopology(odd);

        Assert.Equal("b:1", router.Choose("k"u8, null));
        Assert.Null(router.Map.LeaderOf(default));
    }

    [Fact]
    public void The_budget_refills_with_time_and_success()
    {
        FakeTimeProvider time = new();
        RetryBudget budget = new(100, time);
        for (int i = 0; i < 100; i++)
        {
            Assert.True(budget.TryTake());
        }

        Assert.False(budget.TryTake());
        for (int i = 0; i < 10; i++)
        {
            budget.OnSuccess();
        }

        Assert.True(budget.TryTake());
        Assert.False(budget.TryTake());
        time.Advance(TimeSpan.FromSeconds(2));
        Assert.True(budget.TryTake());
        Assert.True(budget.TryTake());
        Assert.False(budget.TryTake());
    }
}
