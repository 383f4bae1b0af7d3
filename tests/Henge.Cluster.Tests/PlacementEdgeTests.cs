using Henge.Core;

namespace Henge.Cluster.Tests;

/// <summary>Where placing and the ring end: no members, other numbers, points that fall together.</summary>
public sealed class PlacementEdgeTests
{
    [Fact]
    public void A_ring_without_members_owns_nothing()
    {
        HashRing ring = new([]);
        Assert.Throws<InvalidOperationException>(() => ring.OwnerOf(7));
        Assert.Empty(ring.Clockwise(7));
    }

    [Fact]
    public void Of_points_that_fall_together_the_first_name_owns_the_place()
    {
        // Found by trying names.
        const uint place = 1_782_844_559;
        Assert.Equal(place, HashRing.PointOf("node2", 139));
        Assert.Equal(place, HashRing.PointOf("node25", 90));
        foreach (string[] members in (string[][])[["node2", "node25"], ["node25", "node2"]])
        {
            HashRing ring = new(members);
            Assert.Equal("node2", ring.OwnerOf(place));
            Assert.Equal(["node2", "node25"], ring.Clockwise(place));
        }
    }

    [Fact]
    public void Nothing_is_placed_without_nodes_or_without_replicas()
    {
        ShardMap map = new(8);
        HengeException error = Assert.Throws<HengeException>(() => Placement.Create(map, new HashRing([]), 3));
        Assert.Equal(ErrorCode.InvalidArgument, error.Code);
        Assert.Throws<ArgumentOutOfRangeException>(() => Placement.Create(map, new HashRing(["a"]), 0));
    }

    [Fact]
    public void The_number_of_shards_does_not_change()
    {
        HashRing ring = new(["a", "b"]);
        Placement placement = Placement.Create(new ShardMap(8), ring, 2);
        Assert.Throws<ArgumentException>(() => placement.Change(new ShardMap(16), ring, 2));
    }

    /// <summary>
    /// What a change gives, computed by another program from the description alone: each node computes it for itself, so all must come to
    /// the same. Letters are members, a list begins with who leads.
    /// </summary>
    [Theory]
    [InlineData("abcd", "abcde", 3, "dec bad aed abc cbd eac bdc cea eca cdb deb acd bad eab eca dbe")]
    [InlineData("abcde", "abde", 3, "ade abd ead abd bda eab dba eda bea deb dea ade bad dea bed ebd")]
    [InlineData("abcde", "adfg", 3, "gda fda fag agd agd adf dgf dfg fga dgf gaf gdf adf daf fga gda")]
    [InlineData("a", "abc", 2, "ca ba ca ba ca ba bc ac bc ac ab ac ab ab cb cb")]
    [InlineData("abc", "b", 3, "b b b b b b b b b b b b b b b b")]
    public void A_change_gives_the_same_on_every_node(string before, string after, int replicas, string expected)
    {
        ShardMap map = new(16);
        HashRing of = new(before.Select(static c => c.ToString())), to = new(after.Select(static c => c.ToString()));
        Placement changed = Placement.Create(map, of, replicas).Change(map, to, replicas);
        Assert.Equal(
            expected,
            string.Join(' ', Enumerable.Range(0, 16).Select(s => string.Concat(changed.ReplicasOf(new ShardId((uint)s))))));
    }
}
