namespace Henge.Raft.Tests;

/// <summary>
/// The schedules must find bugs that are put in on purpose, each within a stated number of seeds: otherwise their silence would prove
/// nothing.
/// </summary>
public sealed class CanaryTests
{
    private const int SeedsAllowed = 2_000;

    public static TheoryData<string> Bugs
    {
        get
        {
            TheoryData<string> data = [];
            foreach (RaftBugs bug in Enum.GetValues<RaftBugs>())
            {
                // Those of replicas that drop their log, or are replaced, are found in ForgottenLogTests and by the simulator of whole
                // nodes: here none is.
                if (
                    bug is not (
                        RaftBugs.None
                        or RaftBugs.ForgetDroppedLog
                        or RaftBugs.CountEarlierLives
                        or RaftBugs.PromoteBeforeCaughtUp
                        or RaftBugs.ReplaceSilentAtOnce
                        or RaftBugs.ChangeWhileJoint
                        or RaftBugs.CountLearners
                        or RaftBugs.LetRemovedVote))
                {
                    data.Add(bug.ToString());
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Bugs))]
    public void Every_planted_bug_is_found(string name)
    {
        RaftBugs bug = Enum.Parse<RaftBugs>(name);
        (int voters, Faults faults, bool leases) = Schedules(bug);
        for (ulong seed = 1; seed <= SeedsAllowed; seed++)
        {
            RaftCluster cluster = new(seed, voters, faults, bug, leases);
            try
            {
                cluster.Run(250);
            }
            catch (Exception e)
            {
                TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}: {e.Message}");
                return;
            }
        }

        Assert.Fail($"{bug} went unnoticed in {SeedsAllowed} seeds.");
    }

    [Theory]
    [MemberData(nameof(Bugs))]
    public void The_same_schedules_find_nothing_without_the_bug(string name)
    {
        (int voters, Faults faults, bool leases) = Schedules(Enum.Parse<RaftBugs>(name));
        for (ulong seed = 1; seed <= 40; seed++)
        {
            new RaftCluster(seed, voters, faults, RaftBugs.None, leases).Run(250);
        }
    }

    /// <summary>The faults that make what is needed for a bug to show frequent.</summary>
    private static (int Voters, Faults Faults, bool Leases) Schedules(RaftBugs bug) =>
        bug switch
        {
            RaftBugs.ForgetHardState or RaftBugs.AckBeforeSync => (
                3,
                new Faults
                {
                    Crash = 0.04,
                    Sync = 0.4,
                    MembershipChange = 0,
                },
                false),
            RaftBugs.CommitOlderTermByCounting => (
                5,
                new Faults
                {
                    Crash = 0,
                    CrashLeader = 0.25,
                    Start = 0.04,
                    AppendLimitBytes = 1,
                    MembershipChange = 0,
                    MaxDelayRounds = 3,
                    Partition = 0,
                },
                false),
            RaftBugs.IgnoreOutgoingMajority => (
                3,
                new Faults
                {
                    MembershipChange = 0.5,
                    CutAtChange = 0.5,
                    Partition = 0,
                    Heal = 0.03,
                    Crash = 0,
                    Drop = 0,
                    MaxDelayRounds = 0,
                    Sync = 1,
                },
                false),
            RaftBugs.KeepLeaseInTransfer => (
                3,
                new Faults
                {
                    Transfer = 0.1,
                    Partition = 0.15,
                    Heal = 0.3,
                    Drop = 0,
                    MaxDelayRounds = 0,
                    SkipTick = 0,
                    MembershipChange = 0,
                    Sync = 1,
                },
                true),
            RaftBugs.PromiseByTicks => (
                3,
                new Faults
                {
                    Block = 0.05,
                    Partition = 0.1,
                    Heal = 0.1,
                    Drop = 0,
                    MaxDelayRounds = 0,
                    SkipTick = 0,
                    MembershipChange = 0,
                    Crash = 0,
                    CrashLeader = 0,
                    Transfer = 0,
                    Sync = 1,
                },
                true),
            RaftBugs.PromiseOnlyWithLeases => (
                3,
                new Faults
                {
                    MixedLeases = true,
                    CrashPromise = 0.1,
                    Crash = 0,
                    CrashLeader = 0,
                    Partition = 0,
                    Heal = 0,
                    Drop = 0,
                    MaxDelayRounds = 0,
                    SkipTick = 0,
                    MembershipChange = 0,
                    Transfer = 0,
                    Sync = 1,
                },
                true),
            RaftBugs.SkipReadBarrier => (
                3,
                new Faults
                {
                    Partition = 0.15,
                    Heal = 0.05,
                    Drop = 0,
                    MaxDelayRounds = 0,
                    MembershipChange = 0,
                    Crash = 0,
                    Sync = 1,
                    ReadAtLeader = 1,
                },
                false),
            _ => (3, new Faults { MembershipChange = 0, Partition = 0.06 }, false),
        };
}
