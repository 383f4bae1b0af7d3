using Henge.Cluster.Planning;
using Henge.Core;
using Henge.Node.Context;

namespace Henge.Node.Moves;

/// <summary>
/// Which members that are leaving have nothing left that anybody counts on: no placement names them, nor does the configuration of any
/// shard, as its leader says who has seen such a placement. Used by the thread that ticks on the catalog's leader.
/// </summary>
internal sealed class Departures(NodeBugs bugs = NodeBugs.None)
{
    // The generation of the placement from which on it was seen that a member is not named.
    private readonly Dictionary<NodeId, ulong> _since = [];

    /// <summary>Begins anew.</summary>
    public void Clear() => _since.Clear();

    /// <summary>The members that can go.</summary>
    /// <param name="state">What the catalog has.</param>
    /// <param name="reports">What the leaders of shards said last.</param>
    public IReadOnlyList<NodeId> Find(PlacementState state, Func<ShardId, ShardReport?> reports)
    {
        List<NodeId> gone = [];
        foreach (PlanMember member in state.Members)
        {
            if (member.State != MemberState.Leaving || IsNamed(state.Goal, member.Id) || IsNamed(state.Followed, member.Id))
            {
                _since.Remove(member.Id);
                continue;
            }

            _since.TryAdd(member.Id, state.Followed.Generation);
            if (bugs.LeavesWhileCountedOn || AllHaveLetGo(state.Followed.ShardCount, member.Id, _since[member.Id], reports))
            {
                gone.Add(member.Id);
            }
        }

        return gone;
    }

    // A leader that has seen that placement takes the member in no more. One that was told nothing yet may still.
    private static bool AllHaveLetGo(int shards, NodeId id, ulong generation, Func<ShardId, ShardReport?> reports)
    {
        for (uint s = 0; s < shards; s++)
        {
            if (reports(new ShardId(s)) is not { IsSettled: true } report || report.Generation < generation || report.Names(id))
            {
                return false;
            }
        }

        return true;
    }

    private static bool IsNamed(TargetPlacement placement, NodeId id)
    {
        for (uint s = 0; s < placement.ShardCount; s++)
        {
            if (placement.ReplicasOf(new ShardId(s)).Contains(id))
            {
                return true;
            }
        }

        return false;
    }
}
