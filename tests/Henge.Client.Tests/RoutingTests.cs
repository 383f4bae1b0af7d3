using Henge.Client.Retry;
using Henge.Client.Routing;
using Henge.Client.Tests.Fakes;
using Henge.Core;
using Henge.Protocol.Messages;
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

    private static Wire.TopologyResponse Told(ulong members, string nodes, params (int Shard, ulong Term, string Leader)[] leaders)
    {
        Wire.TopologyResponse topology = new() { ClusterId = "c", MembersGeneration = members, ShardCount = 4 };
        topology.Nodes.AddRange(nodes
            .Split(',', StringSplitOptions.RemoveEmptyEntries)
            .Select(static n => new Wire.NodeInfo { NodeId = n.Split('=')[0], Address = n.Split('=')[1] }));
        topology.Shards.AddRange(leaders.Select(static l => new Wire.ShardInfo
        {
            Shard = (uint)l.Shard,
            Term = l.Term,
            LeaderId = l.Leader,
        }));
        return topology;
    }

    private static ShardId Shard(uint number) => new(number);

    [Fact]
    public void What_an_older_term_says_does_not_override_what_a_newer_one_has_said()
    {
        Router router = new(new HengeClientOptions { Peers = ["a:1"] });
        router.OnTopology(Told(7, "n1=a:1,n2=b:1,n3=c:1", (0, 5, "n1"), (1, 5, "n1"), (2, 5, "n1"), (3, 5, "n1")));

        // Another node, which is behind in one shard and ahead in another.
        router.OnTopology(Told(7, "n1=a:1,n2=b:1,n3=c:1", (0, 4, "n2"), (1, 6, "n2"), (2, 5, ""), (3, 6, "")));
        Assert.Equal("a:1", router.Map.LeaderOf(Shard(0)));
        Assert.Equal("b:1", router.Map.LeaderOf(Shard(1)));
        Assert.Equal("a:1", router.Map.LeaderOf(Shard(2)));
        Assert.Null(router.Map.LeaderOf(Shard(3)));
        Assert.Equal(5UL, router.Map.TermOf(Shard(0)));

        // Only what has changed.
        router.OnTopology(Told(7, "", (3, 6, "n3")));
        Assert.Equal("c:1", router.Map.LeaderOf(Shard(3)));
        Assert.Equal(["a:1", "b:1", "c:1"], router.Map.Addresses);
    }

    [Fact]
    public void An_older_list_of_nodes_brings_nobody_back_and_a_newer_one_is_followed()
    {
        Router router = new(new HengeClientOptions { Peers = ["a:1"] });
        List<string> changes = [];
        router.NodesChanged = nodes => changes.Add(string.Join(' ', nodes));
        router.OnTopology(Told(7, "n1=a:1,n2=b:1", (0, 5, "n2"), (1, 5, "n4")));
        Assert.Null(router.Map.LeaderOf(Shard(1)));

        // One has left, another one has come, which led before it was known.
        router.OnTopology(Told(9, "n1=a:1,n4=d:1"));
        Assert.Equal(["a:1", "d:1"], router.Map.Addresses);
        Assert.Null(router.Map.LeaderOf(Shard(0)));
        Assert.Equal("d:1", router.Map.LeaderOf(Shard(1)));

        router.OnTopology(Told(8, "n1=a:1,n2=b:1"));
        router.OnTopology(Told(0, "n1=a:1,n2=b:1"));
        Assert.Equal(["a:1", "d:1"], router.Map.Addresses);

        // A node is reached elsewhere.
        router.OnTopology(Told(10, "n1=a:1,n4=e:1"));
        Assert.Equal("e:1", router.Map.LeaderOf(Shard(1)));
        Assert.Equal(["a:1 b:1", "a:1 d:1", "a:1 e:1"], changes);
    }

    [Fact]
    public void A_hint_of_a_newer_term_is_followed_and_one_of_an_older_leads_to_who_is_known()
    {
        Router router = new(new HengeClientOptions { Peers = ["a:1"] });
        int ahead = 0;
        router.Ahead = () => ahead++;
        uint shard = new ShardMap(4).ShardOf("k"u8).Value;
        router.OnTopology(Told(1, "n1=a:1,n2=b:1,n3=c:1", ((int)shard, 5, "n1")));

        Assert.Equal("b:1", router.OnNotLeader("k"u8, "b:1", 6, asked: "a:1"));
        Assert.Equal((1, "b:1"), (ahead, router.Map.LeaderOf(Shard(shard))));
        Assert.True(router.Map.IsAhead);

        // Who is behind does not take the client back.
        Assert.Equal("b:1", router.OnNotLeader("k"u8, "a:1", 5, asked: "c:1"));
        Assert.Null(router.OnNotLeader("k"u8, "a:1", 5, asked: "b:1"));
        router.OnTopology(Told(1, "", ((int)shard, 5, "n1")));
        Assert.Equal((1, "b:1"), (ahead, router.Map.LeaderOf(Shard(shard))));
        Assert.True(router.Map.IsAhead);

        router.OnTopology(Told(1, "", ((int)shard, 6, "n2")));
        Assert.False(router.Map.IsAhead);

        // An older node, which does not say the term: the client asks whom it names, and keeps what it knows.
        Assert.Equal("a:1", router.OnNotLeader("k"u8, "a:1", 0, asked: "b:1"));
        Assert.Equal("b:1", router.Map.LeaderOf(Shard(shard)));

        // Who was thought to lead does not, and knows nobody.
        Assert.Null(router.OnNotLeader("k"u8, null, 0, asked: "c:1"));
        Assert.Equal("b:1", router.Map.LeaderOf(Shard(shard)));
        Assert.Null(router.OnNotLeader("k"u8, null, 0, asked: "b:1"));
        Assert.Null(router.Map.LeaderOf(Shard(shard)));

        // A node that forwards names the leader.
        router.OnForwarded("k"u8, new TextField("c:1"), 6);
        Assert.Equal("c:1", router.Map.LeaderOf(Shard(shard)));
        router.OnForwarded("k"u8, new TextField("a:1"), 5);
        Assert.Equal("c:1", router.Map.LeaderOf(Shard(shard)));
    }

    [Fact]
    public void When_none_of_the_known_nodes_is_in_health_the_client_begins_anew_where_it_began()
    {
        Router router = new(new HengeClientOptions { Peers = ["seed:1"] });
        router.OnTopology(Told(1, "n1=a:1,n2=b:1"));
        router.OnUnreachable("a:1");
        Assert.Equal("b:1", router.Choose("k"u8, null));
        router.OnUnreachable("b:1");
        Assert.Equal("seed:1", router.Choose("k"u8, null));
    }

    [Fact]
    public void A_hint_moves_the_lead_of_its_shard_only()
    {
        Router router = new(new HengeClientOptions { Peers = ["a:1"] });
        router.OnTopology(Topology(1, 16, _ => "n1", ("n1", "a:1"), ("n2", "b:1")));
        router.OnNotLeader("k"u8, "b:1", 0, asked: "a:1");

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
