using Henge.Core;

namespace Henge.Node.Watch;

/// <summary>Where a watch stands in a shard.</summary>
/// <param name="Shard">The shard.</param>
/// <param name="Next">Everything below this version was given, or is not of the range; zero: from now on.</param>
internal readonly record struct ShardPosition(ShardId Shard, Core.Version Next);
