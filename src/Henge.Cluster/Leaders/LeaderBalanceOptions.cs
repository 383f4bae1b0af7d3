using Henge.Core;

namespace Henge.Cluster.Leaders;

/// <summary>Settings of <see cref="LeaderBalance"/>.</summary>
public sealed record LeaderBalanceOptions
{
    /// <summary>
    /// Nothing is done before somebody has so many times the fair share of the load, or less than <see cref="BeginBelow"/>. Default 1.3.
    /// </summary>
    public double BeginAbove { get; init; } = 1.3;

    /// <summary>
    /// Somebody who could lead has less than so many times the fair share, as a member that came just now. Default 0.7.
    /// </summary>
    public double BeginBelow { get; init; } = 0.7;

    /// <summary>Once begun, transfers go on until nobody has more than so many times the fair share. Default 1.1.</summary>
    public double EndBelow { get; init; } = 1.1;

    /// <summary>
    /// A transfer must take so much of the fair share off the more loaded of the two, or it is not worth the pause. Default 0.05.
    /// </summary>
    public double LeastGain { get; init; } = 0.05;

    /// <summary>Below so many operations a second for each member, the load says nothing. Default 100.</summary>
    public double LeastOperationsPerSecond { get; init; } = 100;

    /// <summary>The most transfers at a time. Default 4.</summary>
    public int MaxTransfers { get; init; } = 4;

    /// <summary>Shards that are left alone, since they have been moved lately.</summary>
    public IReadOnlySet<ShardId> Resting { get; init; } = new HashSet<ShardId>();
}
