using Henge.Cluster.Planning;
using Henge.Core;
using Henge.Node.Moves;

namespace Henge.Node.Tests.Moves;

/// <summary>A catalog whose writes take effect at once, or are lost.</summary>
internal sealed class FakeCatalog(PlacementState state) : IPlacementCatalog
{
    private PlacementState _state = state;

    public int Writes { get; private set; }

    public bool LosesWrites { get; set; }

    public PlacementState State => _state;

    public PlacementState? Read() => _state;

    public void Write(PlacementState seen, TargetPlacement goal, TargetPlacement followed, ulong planned)
    {
        Writes++;
        if (!LosesWrites && ReferenceEquals(seen, _state))
        {
            // As it comes back from bytes.
            _state = _state with { Goal = Copy(goal), Followed = Copy(followed), RebalancePlanned = planned };
        }
    }

    public void Change(Func<PlacementState, PlacementState> change) => _state = change(_state) with { Inputs = _state.Inputs + "." };

    public void Set(PlanMember member) => Change(s => s with
    {
        Members = [.. s.Members.Where(m => m.Id != member.Id), member],
    });

    public IReadOnlyList<NodeId> Followed(uint shard) => _state.Followed.ReplicasOf(new ShardId(shard)).ToArray();

    private static TargetPlacement Copy(TargetPlacement placement)
    {
        Assert.True(TargetPlacement.TryDecode(placement.Encode(), out TargetPlacement? copy));
        return copy;
    }
}
