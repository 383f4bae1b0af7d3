using Henge.Client.Retry;

namespace Henge.Client.Tests;

public sealed class WriteLanesTests
{
    [Fact]
    public void No_number_is_far_above_one_of_its_id_that_is_under_way()
    {
        Random random = new(8);
        WriteLanes lanes = new();
        List<WriteNumber> underWay = [];
        HashSet<(ulong, ulong)> given = [];
        int most = 0;
        for (int round = 0; round < 50_000; round++)
        {
            int target = round % 5000 < 2500 ? 400 : 3;
            if (underWay.Count < target)
            {
                WriteNumber number = lanes.Rent(0);
                Assert.True(given.Add((number.ClientId, number.Sequence)));
                Assert.All(
                    underWay.Where(o => o.Lane == number.Lane),
                    o => Assert.InRange(number.Sequence, o.Sequence + 1, o.Sequence + WriteLane.Span - 1));
                underWay.Add(number);
                most = Math.Max(most, underWay.Count);
            }
            else
            {
                // Some writes are slow: the first ones stay for long.
                int index = random.Next(Math.Min(5, underWay.Count) - 1, underWay.Count);
                lanes.Return(underWay[index]);
                underWay.RemoveAt(index);
            }
        }

        Assert.InRange(lanes.Count, most / WriteLane.Span, most);
    }

    [Fact]
    public void A_caller_that_does_one_thing_at_a_time_uses_one_id()
    {
        WriteLanes lanes = new();
        for (ulong i = 1; i <= 1000; i++)
        {
            WriteNumber number = lanes.Rent(0);
            Assert.Equal(i, number.Sequence);
            lanes.Return(number);
        }

        Assert.Equal(1, lanes.Count);
    }

    [Fact]
    public void A_write_that_hangs_holds_back_its_own_lane_only()
    {
        WriteLanes lanes = new();
        WriteNumber stuck = lanes.Rent(0);
        for (int i = 0; i < 1000; i++)
        {
            lanes.Return(lanes.Rent(0));
        }

        Assert.Equal(2, lanes.Count);
        lanes.Return(stuck);
        Assert.Equal(stuck.Lane, lanes.Rent(0).Lane);
    }

    [Fact]
    public void Writes_to_different_shards_use_different_ids()
    {
        WriteLanes lanes = new();
        List<WriteNumber> underWay = [];
        for (int i = 0; i < 16 * WriteLane.Span; i++)
        {
            underWay.Add(lanes.Rent(i % 16));
        }

        Assert.Equal(16, lanes.Count);
        Assert.Equal(16, underWay.Select(n => n.ClientId).Distinct().Count());
        for (int i = 0; i < underWay.Count; i++)
        {
            Assert.Equal(underWay[i % 16].ClientId, underWay[i].ClientId);
        }

        underWay.ForEach(lanes.Return);
        Assert.Equal(underWay[3].ClientId, lanes.Rent(3).ClientId);
        Assert.Equal(16, lanes.Count);
    }
}
