using Henge.Core;

namespace Henge.Cluster.Tests;

public sealed class PlacementTests
{
    private static string[] Names(int count) => [.. Enumerable.Range(1, count).Select(static i => $"node{i}")];

    private static Dictionary<string, int> Loads(Placement placement) =>
        Enumerable
            .Range(0, placement.ShardCount)
            .SelectMany(s => placement.ReplicasOf(new ShardId((uint)s)))
            .GroupBy(static m => m)
            .ToDictionary(static g => g.Key, static g => g.Count());

    private static Dictionary<string, int> Leads(Placement placement) =>
        Enumerable
            .Range(0, placement.ShardCount)
            .Select(s => placement.ReplicasOf(new ShardId((uint)s))[0])
            .GroupBy(static m => m)
            .ToDictionary(static g => g.Key, static g => g.Count());

    [Fact]
    public void A_point_is_the_low_end_of_the_digest()
    {
        // SHA-256("node1#0"), last four bytes, by sha256sum.
        byte[] digest = System.Security.Cryptography.SHA256.HashData("node1#0"u8);
        Assert.Equal(
            new System.Numerics.BigInteger(digest, isUnsigned: true, isBigEndian: true) % (1L << 32),
            HashRing.PointOf("node1", 0));
    }

    [Fact]
    public void The_ring_does_not_depend_on_the_order_of_members()
    {
        var a = new HashRing(Names(5));
        var b = new HashRing(Names(5).Reverse());
        for (uint p = 0; p < 1000; p++)
        {
            Assert.Equal(a.Clockwise(p * 4_294_967), b.Clockwise(p * 4_294_967));
        }

        Assert.Throws<ArgumentException>(() => new HashRing(["x", "x"]));
    }

    [Fact]
    public void Clockwise_agrees_with_a_slow_search()
    {
        var ring = new HashRing(Names(4));
        (uint Point, string Name)[] points =
        [
            .. Names(4).SelectMany(n => Enumerable.Range(0, HashRing.PointsPerMember).Select(i => (HashRing.PointOf(n, i), n))).Order(),
        ];
        foreach (
            uint position in new[]
            {
                0u,
                1u,
                points[0].Point,
                points[7].Point,
                points[7].Point + 1,
                points[^1].Point,
                points[^1].Point + 1,
                uint.MaxValue,
            })
        {
            string[] expected = [.. points.Where(p => p.Point >= position).Concat(points).Select(static p => p.Name).Distinct()];
            Assert.Equal(expected, ring.Clockwise(position));
            Assert.Equal(expected[0], ring.OwnerOf(position));
        }
    }

    [Theory]
    [InlineData(64)]
    [InlineData(256)]
    [InlineData(1024)]
    public void Five_members_carry_within_a_tenth_of_the_mean(int shards)
    {
        Placement placement = Placement.Create(new ShardMap(shards), new HashRing(Names(5)), 3);
        double mean = shards * 3 / 5.0;
        Assert.All(Loads(placement).Values, l => Assert.InRange(l, mean * 0.9, mean * 1.1));
        Assert.All(Leads(placement).Values, l => Assert.InRange(l, (shards / 5) - 1, (shards / 5) + 2));
        Assert.All(Enumerable.Range(0, shards), s => Assert.Equal(3, placement.ReplicasOf(new ShardId((uint)s)).Distinct().Count()));
    }

    [Fact]
    public void The_first_replicas_are_the_first_clockwise_while_there_is_room()
    {
        var map = new ShardMap(16);
        var ring = new HashRing(Names(5));
        Placement placement = Placement.Create(map, ring, 3);
        Assert.Equal(ring.Clockwise(map.ArcStart(new ShardId(0))).Take(3).Order(), placement.ReplicasOf(new ShardId(0)).Order());
    }

    [Theory]
    [InlineData(1, 3)]
    [InlineData(2, 3)]
    [InlineData(3, 3)]
    public void Few_members_carry_everything(int members, int replicas)
    {
        Placement placement = Placement.Create(new ShardMap(16), new HashRing(Names(members)), replicas);
        Assert.All(Enumerable.Range(0, 16), s => Assert.Equal(members, placement.ReplicasOf(new ShardId((uint)s)).Count));
        Assert.All(Leads(placement).Values, l => Assert.InRange(l, 16 / members, (16 / members) + 1));
    }

    [Theory]
    [InlineData(16, 3)]
    [InlineData(16, 5)]
    [InlineData(64, 5)]
    [InlineData(256, 9)]
    public void A_member_that_joins_takes_its_share_and_nothing_else_moves(int shards, int members)
    {
        var map = new ShardMap(shards);
        Placement before = Placement.Create(map, new HashRing(Names(members)), 3);
        Placement after = before.Change(map, new HashRing(Names(members + 1)), 3);
        string joined = $"node{members + 1}";
        int moved = 0;
        for (uint s = 0; s < shards; s++)
        {
            string[] came = [.. after.ReplicasOf(new ShardId(s)).Except(before.ReplicasOf(new ShardId(s)))];
            Assert.True(came.Length == 0 || came.SequenceEqual([joined]));
            moved += came.Length;
            Assert.Equal(3, after.ReplicasOf(new ShardId(s)).Distinct().Count());
        }

        Assert.Equal(shards * 3 / (members + 1), moved);
        Dictionary<string, int> loads = Loads(after);
        Assert.InRange(loads.Values.Max() - loads.Values.Min(), 0, 2);
    }

    [Theory]
    [InlineData(16, 4)]
    [InlineData(64, 6)]
    public void When_a_member_leaves_only_its_replicas_move(int shards, int members)
    {
        var map = new ShardMap(shards);
        Placement before = Placement.Create(map, new HashRing(Names(members)), 3);
        Placement after = before.Change(map, new HashRing(Names(members).Where(static n => n != "node2")), 3);
        for (uint s = 0; s < shards; s++)
        {
            IEnumerable<string> stayed = before.ReplicasOf(new ShardId(s)).Where(static n => n != "node2");
            Assert.Empty(stayed.Except(after.ReplicasOf(new ShardId(s))));
            Assert.DoesNotContain("node2", after.ReplicasOf(new ShardId(s)));
            Assert.Equal(3, after.ReplicasOf(new ShardId(s)).Distinct().Count());
        }
    }

    [Fact]
    public void From_one_node_a_cluster_grows_to_full_width()
    {
        var map = new ShardMap(16);
        Placement placement = Placement.Create(map, new HashRing(Names(1)), 3);
        for (int members = 2; members <= 6; members++)
        {
            placement = placement.Change(map, new HashRing(Names(members)), 3);
            Assert.All(
                Enumerable.Range(0, 16),
                s => Assert.Equal(Math.Min(3, members), placement.ReplicasOf(new ShardId((uint)s)).Distinct().Count()));
            Dictionary<string, int> loads = Loads(placement);
            Assert.Equal(members, loads.Count);
            Assert.InRange(loads.Values.Max() - loads.Values.Min(), 0, 3);
        }
    }

    [Fact]
    public void The_same_inputs_give_the_same_placement_and_it_survives_the_catalog()
    {
        var map = new ShardMap(32);
        Placement a = Placement.Create(map, new HashRing(Names(7)), 3);
        Placement b = Placement.From([.. Enumerable.Range(0, 32).Select(s => a.ReplicasOf(new ShardId((uint)s)))]);
        Placement c = a.Change(map, new HashRing(Names(8)), 3);
        Placement d = b.Change(map, new HashRing(Names(8).Reverse()), 3);
        Assert.All(Enumerable.Range(0, 32), s => Assert.Equal(c.ReplicasOf(new ShardId((uint)s)), d.ReplicasOf(new ShardId((uint)s))));
    }
}
