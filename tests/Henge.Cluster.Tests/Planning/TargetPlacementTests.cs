using Henge.Cluster.Planning;
using Henge.Core;

namespace Henge.Cluster.Tests.Planning;

public sealed class TargetPlacementTests
{
    private static TargetPlacement Some() =>
        TargetPlacement.From(300, 3, [[new(1), new(2), new(3)], [new(4_000), new(2)], [new(7)]]);

    [Fact]
    public void What_is_written_is_read()
    {
        TargetPlacement placement = Some();
        byte[] bytes = placement.Encode();
        Assert.True(TargetPlacement.TryDecode(bytes, out TargetPlacement? read));
        Assert.True(read.HasSameReplicas(placement));
        Assert.Equal(300UL, read.Generation);
        Assert.Equal(3, read.ReplicationFactor);
        Assert.Equal(3, read.ShardCount);
        Assert.Equal("01AC0203030301020302A01F020107", Convert.ToHexString(bytes));
    }

    [Fact]
    public void Anything_else_is_refused()
    {
        byte[] bytes = Some().Encode();
        for (int cut = 0; cut < bytes.Length; cut++)
        {
            Assert.False(TargetPlacement.TryDecode(bytes.AsSpan(0, cut), out _));
        }

        Assert.False(TargetPlacement.TryDecode([.. bytes, 0], out _));
        string[] bad =
        [
            "02010101" + "0101",
            "01010101" + "00",
            "01010101" + "0100",
            "01010101" + "020101",
            "01010001" + "0101",
            "010101FFFFFF7F" + "0101",
            "01011001" + "0101",
        ];
        foreach (string hex in bad)
        {
            Assert.False(TargetPlacement.TryDecode(Convert.FromHexString(hex), out _), hex);
        }

        Assert.True(TargetPlacement.TryDecode(Convert.FromHexString("01010101" + "0101"), out _));
    }

    [Fact]
    public void Lists_that_make_no_sense_are_refused()
    {
        Assert.Throws<HengeException>(static () => TargetPlacement.From(1, 3, []));
        Assert.Throws<HengeException>(static () => TargetPlacement.From(1, 3, [[]]));
        Assert.Throws<HengeException>(static () => TargetPlacement.From(1, 3, [[new(1), new(1)]]));
        Assert.Throws<HengeException>(static () => TargetPlacement.From(1, 3, [[NodeId.None]]));
        Assert.Throws<HengeException>(static () => TargetPlacement.From(0, 0, [[new(1)]]));
        NodeId[] many = [.. Enumerable.Range(1, 16).Select(static n => new NodeId((ulong)n))];
        Assert.Throws<HengeException>(() => TargetPlacement.From(0, 3, [many]));
    }

    [Fact]
    public void Other_leaders_are_another_generation_of_the_same_replicas()
    {
        TargetPlacement changed = Some().WithLeaders([(new ShardId(0), new NodeId(3)), (new ShardId(2), new NodeId(7))]);
        Assert.Equal(301UL, changed.Generation);
        Assert.Equal([new NodeId(3), new(2), new(1)], changed.ReplicasOf(new ShardId(0)).ToArray());
        Assert.Equal([new NodeId(4_000), new(2)], changed.ReplicasOf(new ShardId(1)).ToArray());
        Assert.Throws<HengeException>(static () => Some().WithLeaders([(new ShardId(0), new NodeId(4))]));
    }
}
