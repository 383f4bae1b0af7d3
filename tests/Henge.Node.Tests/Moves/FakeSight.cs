using Henge.Core;
using Henge.Node.Moves;

namespace Henge.Node.Tests.Moves;

/// <summary>What is seen is what a test says.</summary>
internal sealed class FakeSight : IClusterSight
{
    public bool Leads { get; set; } = true;

    public HashSet<NodeId> Silent { get; } = [];

    public Func<ShardId, IReadOnlyList<NodeId>?> Voters { get; set; } = static _ => null;

    public Dictionary<ShardId, long> Loads { get; } = [];

    public long LoadOf(ShardId shard) => Loads.GetValueOrDefault(shard);

    public bool IsHeard(NodeId member) => !Silent.Contains(member);

    public IReadOnlyList<NodeId>? VotersOf(ShardId shard) => Voters(shard);
}
