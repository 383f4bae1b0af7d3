namespace Henge.Raft.Tests;

/// <summary>What may go wrong in a schedule, and how often.</summary>
internal sealed record Faults
{
    public double Drop { get; init; } = 0.05;
    public double Duplicate { get; init; } = 0.05;
    public int MaxDelayRounds { get; init; } = 4;
    public double Crash { get; init; } = 0.01;
    public double Partition { get; init; } = 0.02;
    public double Heal { get; init; } = 0.06;
    public double Transfer { get; init; } = 0.02;
    public double Campaign { get; init; } = 0.005;
    public double MembershipChange { get; init; } = 0.02;
    public double Checkpoint { get; init; } = 0.05;
    public double Sync { get; init; } = 0.7;
    public double SkipTick { get; init; } = 0.1;
    public double CrashLeader { get; init; } = 0.005;
    public double ReadAtLeader { get; init; } = 0.1;
    /// <summary>How often a change of membership is followed by a cut between the new voters (and the leader) and the others.</summary>
    public double CutAtChange { get; init; } = 0.02;
    public double Start { get; init; } = 0.1;
    /// <summary>
    /// How often a node is held up: what comes to it waits, and so do its ticks, for longer than an election timeout at times.
    /// </summary>
    public double Block { get; init; }
    /// <summary>
    /// How often one follower is cut off from the leader until it stands for election, and then the other, whose promise alone is left,
    /// crashes, is back at once and is cut off as well.
    /// </summary>
    public double CrashPromise { get; init; }
    /// <summary>Each node draws at each start whether it uses leases itself, as in a change from node to node.</summary>
    public bool MixedLeases { get; init; }
    public long AppendLimitBytes { get; init; } = 120;
}
