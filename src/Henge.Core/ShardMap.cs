namespace Henge.Core;

/// <summary>
/// The key space, cut into equal arcs of the ring: shard s holds the positions from <see cref="ArcStart"/>(s) up to that of the next shard.
/// The number of arcs is fixed when a cluster is made. Immutable.
/// </summary>
public sealed class ShardMap
{
    /// <summary>Most shards that a cluster can have.</summary>
    public const int MaxShards = 65_536;

    /// <summary>
    /// Cuts the ring into arcs. Throws <see cref="HengeException"/> (InvalidArgument) for fewer than 1 or more than
    /// <see cref="MaxShards"/>.
    /// </summary>
    public ShardMap(int count)
    {
        if (count is < 1 or > MaxShards)
        {
            throw new HengeException(ErrorCode.InvalidArgument, $"A cluster has 1 to {MaxShards} shards, not {count}.");
        }

        Count = count;
    }

    /// <summary>How many shards there are.</summary>
    public int Count { get; }

    /// <summary>The shard of a position.</summary>
    public ShardId ShardOfPosition(uint position) => new((uint)(((ulong)position * (ulong)Count) >> 32));

    /// <summary>The shard of a key.</summary>
    public ShardId ShardOf(ReadOnlySpan<byte> key) => ShardOfPosition(KeyHash.Position(key));

    /// <summary>The first position of a shard's arc.</summary>
    public uint ArcStart(ShardId shard)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(shard.Value, (uint)Count, nameof(shard));

        // The smallest p with p * Count / 2^32 >= shard.
        return (uint)((((ulong)shard.Value << 32) + (ulong)Count - 1) / (ulong)Count);
    }
}
