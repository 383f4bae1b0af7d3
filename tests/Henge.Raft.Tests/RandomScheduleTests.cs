using System.Globalization;

namespace Henge.Raft.Tests;

/// <summary>
/// Whole groups under random, hostile schedules, each from a seed that is printed when it fails. HENGE_RAFT_SEEDS=n runs n seeds of each
/// kind, HENGE_RAFT_FROM=s starts at seed s.
/// </summary>
public sealed class RandomScheduleTests
{
    private static int Seeds(int normally) =>
        int.TryParse(Environment.GetEnvironmentVariable("HENGE_RAFT_SEEDS"), CultureInfo.InvariantCulture, out int seeds)
            ? seeds
            : normally;

    private static ulong From =>
        ulong.TryParse(Environment.GetEnvironmentVariable("HENGE_RAFT_FROM"), CultureInfo.InvariantCulture, out ulong from) ? from : 1;

    private static (
        int Crashes,
        int Snapshots,
        int Elections,
        int Reads,
        int Changes,
        int Transfers,
        int Truncations,
        int Leases,
        long Commits
    ) Campaign(int seeds, int voters, int rounds, Faults? faults = null, bool leases = false)
    {
        (int Crashes, int Snapshots, int Elections, int Reads, int Changes, int Transfers, int Truncations, int Leases, long Commits) sum =
            default;
        for (ulong seed = From; seed < From + (ulong)seeds; seed++)
        {
            RaftCluster cluster = new(seed, voters, faults, leases: leases);
            try
            {
                cluster.Run(rounds);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"Seed {seed}, {voters} voters: {e.Message}", e);
            }

            sum.Crashes += cluster.Crashes;
            sum.Snapshots += cluster.Snapshots;
            sum.Elections += cluster.Elections;
            sum.Reads += cluster.ReadsGranted;
            sum.Changes += cluster.MembershipChanges;
            sum.Transfers += cluster.Transfers;
            sum.Truncations += cluster.Truncations;
            sum.Leases += cluster.LeaseReads;
            sum.Commits += cluster.Commits;
        }

        TestContext.Current.TestOutputHelper?.WriteLine(sum.ToString());
        return sum;
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    public void A_group_stays_safe_and_comes_together_again_under_every_fault(int voters)
    {
        var sum = Campaign(Seeds(300), voters, 200);
        // A campaign in which a kind of fault never happened would prove nothing.
        Assert.True(
            sum.Crashes > 0
                && sum.Snapshots > 0
                && sum.Elections > 0
                && sum.Reads > 0
                && sum.Changes > 0
                && sum.Commits > 0
                && (sum.Truncations > 0 || voters < 3),
            sum.ToString());
    }

    [Fact]
    public void A_group_stays_safe_when_nodes_crash_all_the_time() =>
        Campaign(Seeds(200), 3, 200, new Faults { Crash = 0.06, Sync = 0.3, MembershipChange = 0 });

    [Fact]
    public void A_group_stays_safe_when_the_network_is_terrible() =>
        Campaign(Seeds(200), 5, 200, new Faults { Drop = 0.3, Duplicate = 0.3, MaxDelayRounds = 12, Partition = 0.1, Heal = 0.15 });

    [Fact]
    public void A_group_stays_safe_while_its_membership_changes_all_the_time()
    {
        var sum = Campaign(Seeds(200), 3, 300, new Faults { MembershipChange = 0.2, Transfer = 0.03 });
        Assert.True(sum.Changes > 0 && sum.Transfers > 0);
    }

    [Fact]
    public void A_lease_never_grants_a_stale_read()
    {
        // Ticks are on time here: a lease only promises something as long as clocks keep within the drift bound.
        var sum = Campaign(Seeds(200), 3, 200, new Faults { SkipTick = 0 }, leases: true);
        Assert.True(sum.Leases > 0);
    }

    [Fact]
    public void A_lease_never_grants_a_stale_read_when_nodes_are_held_up_and_make_up_for_their_ticks_at_once()
    {
        var sum = Campaign(
            Seeds(300),
            3,
            250,
            new Faults
            {
                Block = 0.05,
                Partition = 0.1,
                Heal = 0.1,
                SkipTick = 0,
                Transfer = 0.005,
            },
            leases: true);
        Assert.True(sum.Leases > 0);
    }

    [Fact]
    public void A_lease_never_grants_a_stale_read_when_nodes_differ_in_whether_they_use_leases_and_restart_quickly()
    {
        var sum = Campaign(
            Seeds(300),
            3,
            250,
            new Faults
            {
                MixedLeases = true,
                CrashPromise = 0.05,
                Block = 0.02,
                Crash = 0.06,
                Start = 0.6,
                Partition = 0.1,
                Heal = 0.1,
                SkipTick = 0,
            },
            leases: true);
        Assert.True(sum.Leases > 0);
    }

    [Fact]
    public void The_same_seed_gives_the_same_run_twice()
    {
        for (ulong seed = 1; seed <= 20; seed++)
        {
            RaftCluster first = new(seed, 3);
            RaftCluster second = new(seed, 3);
            first.Run(150);
            second.Run(150);
            Assert.Equal(first.TraceHash, second.TraceHash);
        }
    }
}
