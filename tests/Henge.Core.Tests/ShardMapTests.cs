using System.IO.Hashing;
using System.Text;

namespace Henge.Core.Tests;

public sealed class ShardMapTests
{
    [Theory]
    [InlineData("user:1", "user:1")]
    [InlineData("{user:1}:name", "user:1")]
    [InlineData("a{user:1}b{c}", "user:1")]
    [InlineData("{}key", "{}key")]
    [InlineData("{open", "{open")]
    [InlineData("}{x}", "x")]
    [InlineData("{{x}}", "{x")]
    [InlineData("", "")]
    public void The_part_between_the_first_brace_and_the_next_decides(string key, string part)
    {
        Assert.Equal(part, Encoding.UTF8.GetString(KeyHash.HashedPart(Encoding.UTF8.GetBytes(key))));
        Assert.Equal((uint)(XxHash64.HashToUInt64(Encoding.UTF8.GetBytes(part)) >> 32), KeyHash.Position(Encoding.UTF8.GetBytes(key)));
    }

    [Fact]
    public void Positions_never_change()
    {
        // xxHash64 of nothing is EF46DB3751D8E999, of "a" D24EC4F1A98C6E5B (reference vectors).
        Assert.Equal(0xEF46DB37u, KeyHash.Position(default));
        Assert.Equal(0xD24EC4F1u, KeyHash.Position("a"u8));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(16)]
    [InlineData(1000)]
    [InlineData(65_536)]
    public void Arcs_are_equal_and_cover_the_ring(int count)
    {
        var map = new ShardMap(count);
        for (uint s = 0; s < count; s++)
        {
            uint start = map.ArcStart(new ShardId(s));
            Assert.Equal(s, map.ShardOfPosition(start).Value);
            Assert.Equal(s == 0 ? (uint)count - 1 : s - 1, map.ShardOfPosition(unchecked(start - 1)).Value);
            ulong end = s + 1 == count ? 1UL << 32 : map.ArcStart(new ShardId(s + 1));
            Assert.InRange(end - start, (1UL << 32) / (ulong)count, ((1UL << 32) / (ulong)count) + 1);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(65_537)]
    public void Impossible_numbers_of_shards_are_refused(int count) =>
        Assert.Equal(ErrorCode.InvalidArgument, Assert.Throws<HengeException>(() => new ShardMap(count)).Code);

    [Fact]
    public void Keys_spread_evenly_over_shards()
    {
        var map = new ShardMap(16);
        var counts = new int[16];
        for (int i = 0; i < 160_000; i++)
        {
            counts[map.ShardOf(Encoding.UTF8.GetBytes($"user:{i}")).Value]++;
        }

        Assert.All(counts, c => Assert.InRange(c, 9_500, 10_500));
    }
}
