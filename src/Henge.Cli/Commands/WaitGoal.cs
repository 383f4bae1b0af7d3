using Henge.Cli.Output;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary>What a command waits for, and how far it is.</summary>
/// <param name="LeftOf">How much is left to be done; 0: it is finished.</param>
/// <param name="Describe">How far it is, for people.</param>
/// <param name="Done">What is said at the end.</param>
internal sealed record WaitGoal(
    Func<Wire.PlacementResponse, int> LeftOf,
    Func<Wire.PlacementResponse, string> Describe,
    string Done)
{
    /// <summary>A member has left.</summary>
    public static WaitGoal Left(string node) => new(
        placement => placement.Members.LastOrDefault(m => m.NodeId == node) is { State: not "left" }
            ? ClusterView.CarriedBy(placement, node) + 1
            : 0,
        placement => $"{node}: {ClusterView.DescribeLeaving(placement, node)}{Stuck(placement)}",
        $"{node} has left.");

    /// <summary>A member leads no shard.</summary>
    public static WaitGoal LeadsNothing(string node) => new(
        placement => placement.Shards.Count(s => s.LeaderId == node),
        placement => $"{node} leads {ClusterView.Count(placement.Shards.Count(s => s.LeaderId == node), "shard")}.",
        $"{node} leads nothing, and can be stopped.");

    /// <summary>All shards are where a plan has them that is newer than one.</summary>
    public static WaitGoal Settled(ulong generation) => new(
        placement => placement.Generation <= generation
            ? placement.Shards.Count
            : ClusterView.OnTheirWay(placement).Count,
        placement => $"{ClusterView.Count(ClusterView.OnTheirWay(placement).Count, "shard")} on the way.{Stuck(placement)}",
        "Every shard is where the plan has it.");

    private static string Stuck(Wire.PlacementResponse placement) =>
        placement.Moves.FirstOrDefault(static m => m.Stuck) is { } move
            ? $" Shard {move.Shard} waits for {ClusterView.DescribeWait(move, placement.Unreachable)}."
            : "";
}
