namespace Henge.Simulation.World;

/// <summary>How often what happened. A campaign fails when a kind of fault never did.</summary>
internal sealed class SimStatistics
{
    public long Frames,
        Lost,
        Duplicated,
        Reordered,
        Cut,
        Replayed;
    public long Partitions,
        OneWayPartitions,
        PartialPartitions;
    public long CrashesLosingAll,
        CrashesLosingNone,
        CrashesLosingPart,
        CrashesInWrite;
    public long Restarts,
        Pauses,
        ClockJumps,
        ClockErrors,
        ClockDrifts,
        SlowDisks,
        FailedDisks,
        FullDisks;
    public long Joins,
        JoinsRefused,
        MembersLeft,
        MachinesReplaced,
        MachinesLost,
        LeftStarted;
    public long WorkersBlocked,
        Suspends,
        PromisesCrashed,
        PromisesDelayed,
        LeadersSuspended,
        HungWorkersReplaced,
        RestartedDeceived,
        LeasesTried,
        OldAnswersTried,
        LeadersWithoutWorkers,
        NumbersVoided,
        Voided;
    public long MembershipChanges,
        MembersDemoted,
        MembersRemoved,
        LearnersAdded,
        LearnersPromoted;
    public long LeadersHunted,
        LeaderTransfers,
        Elections,
        SnapshotsInstalled,
        LogTruncations,
        TornTails;
    public long MoveSteps,
        ReplicasAdded,
        ReplicasPromoted,
        ReplicasRemoved,
        ReplicasBegun,
        ReplicasDropped,
        MoversCrashed,
        CrashesAtPlan,
        CrashesAtProposal,
        CrashesAtBirth,
        CrashesAtSending,
        CrashesAtInstall,
        CrashesAtDrop,
        CrashesAtMemberChange;
    public long AccessChangesSaid,
        AccessChangesDone,
        StaleChecks;
    public long CommandsSaid,
        CommandsDone,
        CommandsRefused,
        CommandsRepeated,
        RemovalsTogether;
    public long BitsFlipped,
        DamageMet,
        AppliesStopped;
    public long Misfits,
        MisfitsRefused,
        HellosRefused;
    public long Operations,
        Unknown,
        Errors,
        Retries,
        Scans,
        PagesFetched,
        RemoteReads,
        Transactions,
        Pipelined,
        WatchEvents,
        WatchResumes,
        WatchesRemote,
        WatchesLeft,
        HistoryGone,
        StaleReads,
        LeaseReads,
        ExpiringWrites,
        ExpiriesSeen,
        SessionsEnded;
    public long LateForwardsTried;
    public long Recoveries, RecoveriesInterrupted, LostNodesBack;
    public long HashCommands, HashRetries, HashesEmptied, HashesExpired, WrongKinds;

    /// <summary>All counters with their names.</summary>
    public IEnumerable<(string Name, long Count)> All() =>
        typeof(SimStatistics).GetFields().Select(f => (f.Name, (long)f.GetValue(this)!));

    /// <summary>Takes in another's.</summary>
    public void Add(SimStatistics other)
    {
        foreach (System.Reflection.FieldInfo field in typeof(SimStatistics).GetFields())
        {
            field.SetValue(this, (long)field.GetValue(this)! + (long)field.GetValue(other)!);
        }
    }

    /// <summary>The faults that a whole campaign must have seen.</summary>
    public IEnumerable<string> Missing() => All()
        .Where(c => c.Count == 0 && c.Name is not (nameof(Errors) or nameof(HistoryGone)))
        .Select(c => c.Name);
}
