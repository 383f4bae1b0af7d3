using Henge.Cluster.Planning;
using Henge.Core;
using Henge.Node.Moves;

namespace Henge.Node.Tests.Moves;

public sealed class PlacementKeeperTests
{
    private const int Shards = 12;
    private readonly FakeCatalog _catalog;
    private readonly FakeSight _sight = new();
    private readonly PlacementKeeper _keeper;
    private long _nowMs;

    public PlacementKeeperTests()
    {
        TargetPlacement founding =
            TargetPlacement.From(1, 3, [.. Enumerable.Range(0, Shards).Select(static s => Rotated(s))]);
        _catalog = new FakeCatalog(new PlacementState
        {
            Inputs = "",
            Members = [Member(1), Member(2), Member(3)],
            ReplicationFactor = 3,
            Goal = founding,
            Followed = founding,
            Limits = new MoveLimits { Cluster = 3, Member = 2 },
        });
        _keeper = new PlacementKeeper(_catalog, _sight);
        AllArrive();
    }

    private static NodeId[] Rotated(int shard) => [.. Enumerable.Range(0, 3).Select(i => new NodeId((ulong)(1 + ((shard + i) % 3))))];

    private static PlanMember Member(ulong number) => new() { Id = new NodeId(number), Name = $"node{number}" };

    private void AllArrive() => _sight.Voters = shard => _catalog.Followed(shard.Value);

    private void Run(int times = 1)
    {
        for (int i = 0; i < times; i++, _nowMs += 1_000)
        {
            _keeper.Run(_nowMs);
        }
    }

    private int Carried(ulong member) => Enumerable.Range(0, Shards).Count(s => _catalog.Followed((uint)s).Contains(new NodeId(member)));

    [Fact]
    public void While_nothing_changes_nothing_is_written()
    {
        Run(100);
        Assert.Equal(0, _catalog.Writes);
    }

    [Fact]
    public void A_member_that_comes_gets_its_share_a_few_shards_at_a_time()
    {
        TargetPlacement before = _catalog.State.Followed;
        _sight.Voters = shard => before.ReplicasOf(shard).ToArray();
        _catalog.Set(Member(4));
        Run(20);

        // Nothing has arrived: it takes in no more than two at a time.
        Assert.Equal(2, Carried(4));
        TargetPlacement goal = _catalog.State.Goal;
        Assert.Equal(9, Enumerable.Range(0, Shards).Count(s => goal.ReplicasOf(new ShardId((uint)s)).Contains(new NodeId(4))));
        AllArrive();
        Run(20);
        Assert.Equal(9, Carried(4));
        Assert.True(_catalog.State.Goal.HasSameReplicas(_catalog.State.Followed));
        int writes = _catalog.Writes;
        Run(20);
        Assert.Equal(writes, _catalog.Writes);
    }

    [Fact]
    public void Who_does_not_lead_the_catalog_writes_nothing()
    {
        _catalog.Set(Member(4));
        _sight.Leads = false;
        Run(10);
        Assert.Equal(0, _catalog.Writes);
    }

    [Fact]
    public void What_was_lost_is_written_again()
    {
        _catalog.Set(Member(4));
        _catalog.LosesWrites = true;
        Run(5);
        Assert.Equal(5, _catalog.Writes);
        _catalog.LosesWrites = false;
        Run(20);
        Assert.Equal(9, Carried(4));
    }

    [Fact]
    public void Another_leader_goes_on()
    {
        _catalog.Set(Member(4));
        Run(2);
        int carried = Carried(4);
        Assert.InRange(carried, 1, 8);
        PlacementKeeper other = new(_catalog, _sight);
        for (int i = 0; i < 20; i++)
        {
            other.Run(i);
        }

        Assert.Equal(9, Carried(4));
    }

    [Fact]
    public void A_member_that_is_down_for_long_is_replaced_and_before_that_nothing_else_moves()
    {
        _catalog.Change(static s => s with { ReplaceAfterMs = 60_000 });
        _catalog.Set(Member(4));
        Run(20);
        _sight.Silent.Add(new NodeId(1));
        Run(16);
        int carried = Carried(1);
        Assert.True(carried > 0);
        Assert.All(Enumerable.Range(0, Shards), s => Assert.NotEqual(new NodeId(1), _catalog.Followed((uint)s)[0]));
        _catalog.Set(Member(5));
        Run(30);
        Assert.Equal((carried, 0), (Carried(1), Carried(5)));
        Run(40);
        Assert.Equal(0, Carried(1));
        Assert.InRange(Carried(5), 8, 9);
        Assert.Empty(_keeper.Problems);
    }

    [Fact]
    public void A_pause_is_no_failure()
    {
        Run();
        _sight.Silent.Add(new NodeId(1));
        Run(14);
        _sight.Silent.Clear();
        Run(5);
        Assert.Equal(0, _catalog.Writes);
    }

    [Fact]
    public void A_new_leader_counts_anew()
    {
        _catalog.Change(static s => s with { ReplaceAfterMs = 60_000 });
        _catalog.Set(Member(4));
        Run(20);
        _sight.Silent.Add(new NodeId(1));
        Run(50);
        _sight.Leads = false;
        Run();
        _sight.Leads = true;
        Run(50);
        Assert.True(Carried(1) > 0);
        Run(20);
        Assert.Equal(0, Carried(1));
    }

    [Fact]
    public void Who_comes_back_in_time_keeps_what_it_has()
    {
        _catalog.Change(static s => s with { ReplaceAfterMs = 60_000 });
        _catalog.Set(Member(4));
        Run(20);
        TargetPlacement before = _catalog.State.Followed;
        _sight.Silent.Add(new NodeId(1));
        Run(50);
        _sight.Silent.Clear();
        Run(5);
        Assert.All(
            Enumerable.Range(0, Shards),
            s => Assert.Equal(before.ReplicasOf(new ShardId((uint)s)).ToArray().Order(), _catalog.Followed((uint)s).Order()));
        Assert.Contains(Enumerable.Range(0, Shards), s => _catalog.Followed((uint)s)[0] == new NodeId(1));
    }

    [Fact]
    public void What_cannot_be_done_is_told()
    {
        _catalog.Set(Member(3) with { State = MemberState.Leaving });
        Run(3);
        Assert.Equal(PlanProblemKind.NoPlaceElsewhere, Assert.Single(_keeper.Problems).Kind);
        Assert.Equal(Shards, Carried(3));
    }

    [Fact]
    public void A_leaving_that_is_cancelled_stops_where_it_is()
    {
        _catalog.Set(Member(4));
        Run(20);
        _catalog.Set(Member(2) with { State = MemberState.Leaving });
        Run(2);
        int carried = Carried(2);
        Assert.InRange(carried, 1, 8);
        _catalog.Set(Member(2));
        Run(10);
        Assert.True(_catalog.State.Goal.HasSameReplicas(_catalog.State.Followed));
    }

    [Fact]
    public void A_rebalance_is_planned_once()
    {
        _catalog.Set(Member(4));
        Run(20);
        _catalog.Set(Member(4) with { Weight = 50 });
        Run(20);
        Assert.Equal(9, Carried(4));
        _catalog.Change(static s => s with { RebalanceAsked = 1 });
        Run(20);
        Assert.InRange(Carried(4), 5, 6);
        Assert.Equal(1UL, _catalog.State.RebalancePlanned);
        int writes = _catalog.Writes;
        Run(20);
        Assert.Equal(writes, _catalog.Writes);
    }

    [Fact]
    public void A_move_that_has_not_begun_says_what_it_waits_for()
    {
        TargetPlacement before = _catalog.State.Followed;
        _sight.Voters = shard => before.ReplicasOf(shard).ToArray();
        _catalog.Set(Member(4));
        Run(3);
        Assert.Equal(7, _keeper.Waiting.Count);
        Assert.All(_keeper.Waiting, static w => Assert.Equal(MoveWait.OtherMoves, w.Wait));
        _sight.Silent.Add(new NodeId(2));
        Run(20);
        AllArrive();
        Run(5);
        Assert.Equal(2, Carried(4));
        Assert.NotEmpty(_keeper.Waiting);
        Assert.All(_keeper.Waiting, static w =>
        {
            Assert.Equal(MoveWait.MembersAreDown, w.Wait);
            Assert.Equal(new NodeId(2), Assert.Single(w.WaitsFor));
        });
        _sight.Silent.Clear();
        Run(20);
        Assert.Empty(_keeper.Waiting);
        Assert.Equal(9, Carried(4));
    }

    [Fact]
    public void Who_leads_a_shard_with_most_of_the_load_leads_nothing_else_and_then_nothing_changes()
    {
        Run(20);
        var hot = new ShardId(0);
        NodeId busy = _catalog.Followed(0)[0];
        Random random = new(1);
        void Load()
        {
            for (uint s = 0; s < Shards; s++)
            {
                _sight.Loads[new ShardId(s)] = (s == 0 ? 4_000 : 200) * random.Next(80, 121) / 100;
            }
        }

        int Led(NodeId id) => Enumerable.Range(0, Shards).Count(s => _catalog.Followed((uint)s)[0] == id);
        for (int i = 0; i < 300; i++)
        {
            Load();
            Run();
        }

        Assert.Equal((1, busy), (Led(busy), _catalog.Followed(hot.Value)[0]));
        int writes = _catalog.Writes;
        for (int i = 0; i < 3_600; i++)
        {
            Load();
            Run();
        }

        Assert.Equal(writes, _catalog.Writes);

        // Another leader of the catalog, who has not heard of loads yet, leaves it so; and so does a plan that is made anew.
        PlacementKeeper other = new(_catalog, _sight);
        Dictionary<ShardId, long> loads = new(_sight.Loads);
        _sight.Loads.Clear();
        other.Run(_nowMs += 1_000);
        foreach ((ShardId shard, long load) in loads)
        {
            _sight.Loads[shard] = load;
        }

        for (int i = 0; i < 60; i++)
        {
            other.Run(_nowMs += 1_000);
        }

        Assert.Equal(1, Led(busy));
        _catalog.Change(static s => s with { ReplaceAfterMs = 700_000 });
        for (int i = 0; i < 60; i++)
        {
            other.Run(_nowMs += 1_000);
        }

        Assert.Equal(1, Led(busy));
    }

    [Fact]
    public void A_member_that_comes_gets_its_part_of_the_load_to_lead()
    {
        for (uint s = 0; s < Shards; s++)
        {
            _sight.Loads[new ShardId(s)] = 500;
        }

        Run(20);
        _catalog.Set(Member(4));
        Run(200);
        Assert.Equal(3, Enumerable.Range(0, Shards).Count(s => _catalog.Followed((uint)s)[0] == new NodeId(4)));
    }
}
