using Henge.Cluster.Leaders;
using Henge.Core;

namespace Henge.Cluster.Tests.Leaders;

public sealed class LeaderBalanceTests
{
    private static readonly LeaderBalanceOptions Options = new();

    private static LeaderMember[] Members(int count) =>
        [.. Enumerable.Range(1, count).Select(static n => new LeaderMember(new((ulong)n), 100))];

    private static ShardLoad Shard(uint shard, ulong leader, double load, params ulong[] others) =>
        new(new ShardId(shard), new NodeId(leader), [new NodeId(leader), .. others.Select(static n => new NodeId(n))], load);

    [Fact]
    public void Two_hot_shards_of_one_leader_are_parted()
    {
        ShardLoad[] shards = [Shard(0, 1, 5_000, 2, 3), Shard(1, 1, 5_000, 2, 3), Shard(2, 2, 10, 1, 3), Shard(3, 3, 10, 1, 2)];
        LeaderTransfer transfer = Assert.Single(LeaderBalance.Plan(shards, Members(3), Options));
        Assert.Equal(new NodeId(1), transfer.From);
        Assert.Contains(transfer.Shard.Value, new uint[] { 0, 1 });
    }

    [Fact]
    public void One_hot_shard_alone_is_not_passed_around()
    {
        ShardLoad[] shards = [Shard(0, 1, 9_000, 2, 3), Shard(1, 2, 10, 1, 3), Shard(2, 3, 10, 1, 2)];
        Assert.Empty(LeaderBalance.Plan(shards, Members(3), Options));
    }

    [Fact]
    public void Equal_numbers_are_not_enough_and_a_hot_member_gives_its_cold_shards_away()
    {
        ShardLoad[] shards =
        [
            Shard(0, 1, 1_000, 2, 3),
            Shard(1, 1, 500, 2, 3),
            Shard(2, 2, 250, 1, 3),
            Shard(3, 2, 250, 1, 3),
            Shard(4, 3, 500, 1, 2),
            Shard(5, 3, 500, 1, 2),
        ];
        LeaderTransfer transfer = Assert.Single(LeaderBalance.Plan(shards, Members(3), Options));
        Assert.Equal(new LeaderTransfer(new ShardId(1), new NodeId(1), new NodeId(2)), transfer);
    }

    [Theory]
    [InlineData(129, false)]
    [InlineData(131, true)]
    public void Nothing_is_done_before_it_is_worth_it(int percent, bool done)
    {
        // Three members with 100 % each on the average, the first with so many percent, in shards of a tenth.
        List<ShardLoad> shards = [];
        double rest = (300 - percent) / 2.0;
        foreach ((ulong leader, double load) in new[] { (1UL, percent), (2UL, rest), (3UL, rest) })
        {
            for (int i = 0; i < 10; i++)
            {
                shards.Add(Shard((uint)shards.Count, leader, load, 1 + (leader % 3)));
            }
        }

        Assert.Equal(done, LeaderBalance.Plan(shards, Members(3), Options).Count > 0);
    }

    [Fact]
    public void What_is_idle_rests_or_has_no_other_replica_stays()
    {
        ShardLoad[] idle = [Shard(0, 1, 20, 2), Shard(1, 1, 20, 2), Shard(2, 2, 0, 1)];
        Assert.Empty(LeaderBalance.Plan(idle, Members(2), Options));
        ShardLoad[] busy = [.. idle.Select(static s => s with { OperationsPerSecond = s.OperationsPerSecond * 1_000 })];
        Assert.Single(LeaderBalance.Plan(busy, Members(2), Options));
        Assert.Empty(LeaderBalance.Plan(busy, Members(2), Options with { Resting = new HashSet<ShardId> { new(0), new(1) } }));
        Assert.Empty(LeaderBalance.Plan(busy, Members(1), Options));
        Assert.Empty(LeaderBalance.Plan([.. busy.Select(static s => s with { Replicas = [s.Leader] })], Members(2), Options));
    }

    [Fact]
    public void Transfers_go_on_to_whoever_has_least_by_then_until_loads_are_near_enough()
    {
        // 900, 100 and 200 operations a second; 400 each would be fair.
        ShardLoad[] shards =
        [
            .. Enumerable.Range(0, 9).Select(static s => Shard((uint)s, 1, 100, 2, 3)), Shard(9, 2, 100, 1, 3), Shard(10, 3, 200, 1, 2),
        ];
        LeaderBalanceOptions many = Options with { MaxTransfers = 100 };
        IReadOnlyList<LeaderTransfer> transfers = LeaderBalance.Plan(shards, Members(3), many);
        Assert.Equal([3, 2], new ulong[] { 2, 3 }.Select(to => transfers.Count(t => t.To.Value == to)));
        Assert.All(transfers, static t => Assert.Equal(new NodeId(1), t.From));
        Assert.Equal(5, transfers.Select(static t => t.Shard).Distinct().Count());
        Assert.Equal(4, LeaderBalance.Plan(shards, Members(3), Options).Count);

        // Who may not lead is given nothing, and what it leads is not counted.
        IReadOnlyList<LeaderTransfer> two = LeaderBalance.Plan(shards, Members(2), many);
        Assert.Equal(4, two.Count);
        Assert.All(two, static t => Assert.Equal(new NodeId(2), t.To));
    }

    [Fact]
    public void Weights_count()
    {
        ShardLoad[] shards =
        [
            .. Enumerable.Range(0, 4).Select(static s => Shard((uint)s, 1, 1_000, 2)), Shard(4, 2, 1_000, 1), Shard(5, 2, 1_000, 1),
        ];
        Assert.NotEmpty(LeaderBalance.Plan(shards, Members(2), Options));
        Assert.Empty(LeaderBalance.Plan(shards, [new(new(1), 200), new(new(2), 100)], Options));
    }

    [Fact]
    public void Loads_that_stay_the_same_come_to_rest()
    {
        for (int seed = 0; seed < 300; seed++)
        {
            Random random = new(seed);
            int members = random.Next(2, 8);
            ShardLoad[] shards =
            [
                .. Enumerable.Range(0, random.Next(1, 60)).Select(s =>
                {
                    ulong[] replicas = [.. Enumerable.Range(1, members).Select(static n => (ulong)n)];
                    random.Shuffle(replicas);
                    return Shard((uint)s, replicas[0], Math.Pow(random.NextDouble(), 4) * 10_000, replicas[1..Math.Min(3, members)]);
                }),
            ];
            double before = Most(shards);
            int rounds = 0;
            for (; rounds < 100; rounds++)
            {
                IReadOnlyList<LeaderTransfer> transfers = LeaderBalance.Plan(shards, Members(members), Options);
                Assert.True(transfers.Count <= Options.MaxTransfers);
                if (transfers.Count == 0)
                {
                    break;
                }

                foreach (LeaderTransfer transfer in transfers)
                {
                    Assert.Equal(transfer.From, shards[transfer.Shard.Value].Leader);
                    Assert.Contains(transfer.To, shards[transfer.Shard.Value].Replicas);
                    shards[transfer.Shard.Value] = shards[transfer.Shard.Value] with { Leader = transfer.To };
                }
            }

            Assert.True(rounds < 100, $"seed {seed}");
            Assert.True(Most(shards) <= before, $"seed {seed}");
        }
    }

    private static double Most(ShardLoad[] shards) =>
        shards.GroupBy(static s => s.Leader).Max(static g => g.Sum(static s => s.OperationsPerSecond));
}
