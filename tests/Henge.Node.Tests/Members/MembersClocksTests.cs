using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Tests.Clusters;

namespace Henge.Node.Tests.Members;

public sealed class MembersClocksTests
{
    private static readonly NodeId Self = new(1);

    [Fact]
    public void The_time_is_what_a_majority_of_those_who_count_have_reached_whoever_comes_and_goes()
    {
        var random = new Random(5);
        for (int round = 0; round < 200; round++)
        {
            var time = new HarnessTime();
            ClusterClock clock = Clock(time, [Self]);
            long[] ahead = [0, 0, .. Enumerable.Range(0, 7).Select(_ => random.NextInt64(-10_000_000, 10_000_000))];
            var known = new HashSet<ulong>();
            for (int step = 0; step < 20; step++)
            {
                ulong peer = (ulong)random.Next(2, ahead.Length);
                clock.OnAnswer(new NodeId(peer), time.GetUtcNow().ToUnixTimeMilliseconds() + ahead[peer], time.GetTimestamp());
                known.Add(peer);
                ulong[] counted = [.. Enumerable.Range(1, ahead.Length - 1).Select(static i => (ulong)i).Where(_ => random.Next(2) == 0)];
                clock.SetMembers([.. counted.Select(static i => new NodeId(i))]);

                // A clock that is not known has reached nothing.
                long[] reached = [.. counted.Where(i => i == 1 || known.Contains(i)).Select(i => ahead[i]).OrderDescending()];
                int majority = (counted.Length / 2) + 1;
                Assert.Equal(reached.Length >= majority, clock.IsKnown);
                if (clock.IsKnown)
                {
                    long own = time.GetUtcNow().ToUnixTimeMilliseconds() - Core.Version.EpochUnixMs;
                    long expected = Math.Abs(reached[majority - 1]) <= clock.MaxSkewMs ? own : own + reached[majority - 1];
                    Assert.Equal(expected, clock.Now.Milliseconds);
                }
            }
        }
    }

    [Fact]
    public void A_clock_that_was_asked_before_it_counts_makes_no_pause()
    {
        var time = new HarnessTime();
        ClusterClock clock = Clock(time, [Self]);
        Assert.True(clock.IsAlone);
        clock.OnAnswer(new NodeId(2), time.GetUtcNow().ToUnixTimeMilliseconds(), time.GetTimestamp());
        clock.SetMembers([Self, new NodeId(2)]);
        Assert.False(clock.IsAlone);
        Assert.True(clock.IsKnown);
        clock.SetMembers([Self, new NodeId(2), new NodeId(3), new NodeId(4)]);
        Assert.False(clock.IsKnown);
    }

    private static ClusterClock Clock(HarnessTime time, NodeId[] members) =>
        new(time, time.GetTimestamp(), members, Self, new NodeOptions { Name = "node1", DataDirectory = "/data" });
}
