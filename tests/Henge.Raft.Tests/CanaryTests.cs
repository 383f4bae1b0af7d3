namespace Henge.Raft.Tests;

/// <summary>
/// The schedules must find bugs that are put in on purpose, each within a stated number of seeds: otherwise their silence would prove nothing.
/// </summary>
public sealed class CanaryTests
{
    private const int SeedsAllowed = 400;

    public static TheoryData<string> Bugs
    {
        get
        {
            TheoryData<string> data = [];
            foreach (RaftBugs bug in Enum.GetValues<RaftBugs>())
            {
                if (bug != RaftBugs.None)
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
        bool leases = bug == RaftBugs.KeepLeaseInTransfer;
        Faults faults = bug switch
        {
            RaftBugs.ForgetHardState or RaftBugs.AckBeforeSync => new Faults { Crash = 0.04, Sync = 0.4, MembershipChange = 0 },
            RaftBugs.CommitOlderTermByCounting => new Faults { Crash = 0, CrashLeader = 0.25, Start = 0.04, AppendLimitBytes = 1, MembershipChange = 0, MaxDelayRounds = 3, Partition = 0 },
            RaftBugs.IgnoreOutgoingMajority => new Faults { MembershipChange = 0.3, Partition = 0.1, Heal = 0.1, Crash = 0, Drop = 0, MaxDelayRounds = 1 },
            RaftBugs.KeepLeaseInTransfer => new Faults { Transfer = 0.1, Partition = 0.15, Heal = 0.3, Drop = 0, MaxDelayRounds = 0, SkipTick = 0, MembershipChange = 0, Sync = 1 },
            _ => new Faults { MembershipChange = 0, Partition = 0.06 },
        };
        for (ulong seed = 1; seed <= SeedsAllowed; seed++)
        {
            RaftCluster cluster = new(seed, bug == RaftBugs.CommitOlderTermByCounting ? 5 : 3, faults, bug, leases);
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
}
