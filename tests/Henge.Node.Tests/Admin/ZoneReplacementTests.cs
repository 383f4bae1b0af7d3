using System.Globalization;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Tests.Clusters;
using Henge.Testing.Files;

namespace Henge.Node.Tests.Admin;

/// <summary>A dead member of one zone whose place a new member takes that stands in another.</summary>
public sealed class ZoneReplacementTests
{
    /// <param name="zones">A letter for each founder: its zone.</param>
    /// <param name="dead">Which founder dies, counted from 1.</param>
    /// <param name="next">The zone of the member that takes its place.</param>
    /// <param name="most">The most replicas of a shard that one zone needs to have afterwards.</param>
    /// <param name="asks">
    /// Members that stay have to give each other something for that: a plan says so, and does it when an operator asks.
    /// </param>
    [Theory]
    [InlineData("abc", 3, "a", 2, false)]
    [InlineData("abc", 3, "d", 1, false)]
    [InlineData("aabbc", 5, "a", 2, false)]
    [InlineData("aabbc", 1, "d", 1, false)]
    [InlineData("aabbc", 3, "c", 1, false)]
    [InlineData("aaabb", 4, "c", 1, true)]
    [InlineData("aaabb", 1, "b", 2, false)]
    public void Replicas_are_spread_over_the_zones_that_there_are_then(string zones, int dead, string next, int most, bool asks)
    {
        string newcomer = $"node{zones.Length + 1}";
        string ZoneOf(string name) =>
            name == newcomer ? next : zones[int.Parse(name[4..], CultureInfo.InvariantCulture) - 1].ToString();
        AdminHarness admin = new(zones.Length, shards: 12, zoneOf: ZoneOf);
        admin.Cluster.Put(admin.Cluster.Nodes[dead % zones.Length], "key", "value");

        // A cluster is founded before its founders have said where they stand.
        Rebalance(admin);
        HarnessNode lost = admin.Node($"node{dead}");
        lost.Crash(CrashMode.KeepAll);
        admin.Join(newcomer);
        ClusterChangeAnswer done = admin.Do(ClusterChangeKind.Remove, lost.Name, newcomer);
        Assert.Equal((true, MemberState.Leaving), (done.IsDone, done.State));

        admin.RunUntilState(lost.Name, MemberState.Left, 120_000);
        admin.RunUntilSettled(120_000);
        PlacementProblem[] problems = [.. admin.Cluster.Running.SelectMany(static n => n.Running.GetPlacement().Problems)];
        Assert.Equal(asks, problems.Length > 0);
        if (asks)
        {
            Assert.Contains("A rebalance spreads replicas over zones", problems[0].Text, StringComparison.Ordinal);
            Rebalance(admin);
        }

        Dictionary<NodeId, string> zoneOf = admin.Cluster.Running.ToDictionary(static n => n.Id, n => ZoneOf(n.Name));
        for (int s = 0; s < admin.Shards; s++)
        {
            string[] byReplica = [.. admin.VotersOf(s).Select(id => zoneOf[id])];
            Assert.Equal(3, byReplica.Length);
            Assert.True(
                byReplica.CountBy(static z => z).All(z => z.Value <= most),
                $"s{s} has its replicas in the zones {string.Join(", ", byReplica)}");
        }

        // Between zones of unlike sizes nothing else is possible; within one the members have alike.
        foreach (IGrouping<string, HarnessNode> zone in admin.Cluster.Running.GroupBy(n => ZoneOf(n.Name)))
        {
            int[] carried = [.. zone.Select(n => admin.Replicas(n.Name))];
            Assert.True(carried.Max() - carried.Min() <= 1, $"in the zone {zone.Key} members have {string.Join(", ", carried)}");
        }

        Assert.True(admin.Replicas(newcomer) > 0, "the newcomer has nothing");
        Assert.Equal("value", admin.Cluster.Get(admin.Node(newcomer), "key"));
    }

    private static void Rebalance(AdminHarness admin)
    {
        ulong generation = admin.Cluster.Running.First().Running.GetPlacement().Generation;
        if (admin.Do(ClusterChangeKind.Rebalance).Copies > 0)
        {
            admin.Cluster.RunUntil(
                () => admin.Cluster.Running.First().Running.GetPlacement().Generation > generation, what: "it is planned");
            admin.RunUntilSettled(120_000);
        }
    }
}
