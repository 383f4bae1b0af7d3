using System.Diagnostics.CodeAnalysis;
using Henge.Core;

namespace Henge.Cluster.Planning;

/// <summary>
/// Where the replicas of all shards are to be, as the catalog has it: members by number, the preferred leader of a shard first. Shards move
/// there one step at a time (<c>ShardStep</c>). Immutable; a few bytes for each replica.
/// </summary>
public sealed class TargetPlacement
{
    /// <summary>The most replicas that a shard can have.</summary>
    public const int MaxReplicas = 15;

    /// <summary>
    /// The most shards; more than a cluster can have today (<see cref="ShardMap.MaxShards"/>), so that planning is known to bear it.
    /// </summary>
    public const int MaxShards = 1 << 20;

    private const byte FormatVersion = 1;

    private readonly NodeId[] _replicas;
    private readonly int[] _starts;

    internal TargetPlacement(ulong generation, int replicationFactor, NodeId[] replicas, int[] starts)
    {
        Generation = generation;
        ReplicationFactor = replicationFactor;
        _replicas = replicas;
        _starts = starts;
    }

    /// <summary>Rises by one with each change.</summary>
    public ulong Generation { get; }

    /// <summary>How many replicas each shard was to have when this was planned.</summary>
    public int ReplicationFactor { get; }

    /// <summary>How many shards there are.</summary>
    public int ShardCount => _starts.Length - 1;

    /// <summary>The members that are to carry a shard, the preferred leader first.</summary>
    public ReadOnlySpan<NodeId> ReplicasOf(ShardId shard) => RowOf((int)shard.Value);

    internal ReadOnlySpan<NodeId> RowOf(int shard) => _replicas.AsSpan(_starts[shard].._starts[shard + 1]);

    /// <summary>
    /// Takes over lists of members. A shard without replicas, with one twice, or with more than <see cref="MaxReplicas"/> is an
    /// <see cref="ErrorCode.InvalidArgument"/>.
    /// </summary>
    public static TargetPlacement From(ulong generation, int replicationFactor, IReadOnlyList<IReadOnlyList<NodeId>> shards)
    {
        var starts = new int[shards.Count + 1];
        for (int s = 0; s < shards.Count; s++)
        {
            starts[s + 1] = starts[s] + shards[s].Count;
        }

        var replicas = new NodeId[starts[^1]];
        for (int s = 0; s < shards.Count; s++)
        {
            for (int i = 0; i < shards[s].Count; i++)
            {
                replicas[starts[s] + i] = shards[s][i];
            }
        }

        TargetPlacement target = new(generation, replicationFactor, replicas, starts);
        return target.IsValid()
            ? target
            : throw new HengeException(
                ErrorCode.InvalidArgument,
                $"A placement needs 1 to {MaxShards} shards, each with 1 to {MaxReplicas} different nodes.");
    }

    /// <summary>Takes over the placement of a new cluster, whose members have numbers by their names.</summary>
    public static TargetPlacement Founding(Placement placement, int replicationFactor, IReadOnlyDictionary<string, NodeId> numbers) =>
        From(
            1,
            replicationFactor,
            [
                .. Enumerable
                    .Range(0, placement.ShardCount)
                    .Select(s => placement.ReplicasOf(new ShardId((uint)s)).Select(name => numbers[name]).ToArray()),
            ]);

    /// <summary>Whether all shards have the same replicas in the same order, whatever the generations are.</summary>
    public bool HasSameReplicas(TargetPlacement other) =>
        _starts.AsSpan().SequenceEqual(other._starts) && _replicas.AsSpan().SequenceEqual(other._replicas);

    /// <summary>True when each shard is on the same members, whoever shall lead it.</summary>
    public bool HasSameMembers(TargetPlacement other)
    {
        if (!_starts.AsSpan().SequenceEqual(other._starts))
        {
            return false;
        }

        for (int s = 0; s < ShardCount; s++)
        {
            foreach (NodeId id in RowOf(s))
            {
                if (!other.RowOf(s).Contains(id))
                {
                    return false;
                }
            }
        }

        return true;
    }

    /// <summary>
    /// The same with another replica of a shard first. One that the shard does not have is an <see cref="ErrorCode.InvalidArgument"/>.
    /// </summary>
    public TargetPlacement WithLeaders(IEnumerable<(ShardId Shard, NodeId Leader)> leaders)
    {
        var replicas = (NodeId[])_replicas.Clone();
        foreach ((ShardId shard, NodeId leader) in leaders)
        {
            Span<NodeId> row = replicas.AsSpan(_starts[shard.Value].._starts[shard.Value + 1]);
            int at = row.IndexOf(leader);
            if (at < 0)
            {
                throw new HengeException(ErrorCode.InvalidArgument, $"{leader} is to have no replica of {shard}, and so cannot lead it.");
            }

            (row[0], row[at]) = (row[at], row[0]);
        }

        return new TargetPlacement(Generation + 1, ReplicationFactor, replicas, _starts);
    }

    /// <summary>The form for the catalog: see docs/formats.md, "Catalog".</summary>
    public byte[] Encode()
    {
        int size = 1 + Varint.Size(Generation) + Varint.Size((ulong)ReplicationFactor) + Varint.Size((ulong)ShardCount) + ShardCount;
        foreach (NodeId id in _replicas)
        {
            size += Varint.Size(id.Value);
        }

        byte[] bytes = new byte[size];
        SpanWriter writer = new(bytes);
        writer.WriteByte(FormatVersion);
        writer.WriteVarint(Generation);
        writer.WriteVarint((ulong)ReplicationFactor);
        writer.WriteVarint((ulong)ShardCount);
        for (int s = 0; s < ShardCount; s++)
        {
            ReadOnlySpan<NodeId> row = RowOf(s);
            writer.WriteVarint((ulong)row.Length);
            foreach (NodeId id in row)
            {
                writer.WriteVarint(id.Value);
            }
        }

        return bytes;
    }

    /// <summary>Reads what <see cref="Encode"/> wrote; false when the bytes are anything else.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> source, [NotNullWhen(true)] out TargetPlacement? placement)
    {
        placement = null;
        SpanReader reader = new(source);
        if (reader.ReadByte() != FormatVersion)
        {
            return false;
        }

        ulong generation = reader.ReadVarint();
        ulong factor = reader.ReadVarint(MaxReplicas);
        ulong count = reader.ReadVarint(MaxShards);

        // A shard takes two bytes at least, so what came in bounds what is allocated.
        if (reader.Failed || factor == 0 || count == 0 || count * 2 > (ulong)reader.Rest.Length)
        {
            return false;
        }

        var starts = new int[count + 1];
        List<NodeId> replicas = new((int)Math.Min(count * factor, (ulong)reader.Rest.Length));
        for (int s = 0; s < (int)count && !reader.Failed; s++)
        {
            ulong width = reader.ReadVarint(MaxReplicas);
            for (ulong i = 0; i < width; i++)
            {
                replicas.Add(new NodeId(reader.ReadVarint()));
            }

            starts[s + 1] = replicas.Count;
        }

        if (reader.Failed || !reader.IsEmpty)
        {
            return false;
        }

        TargetPlacement read = new(generation, (int)factor, [.. replicas], starts);
        if (!read.IsValid())
        {
            return false;
        }

        placement = read;
        return true;
    }

    private bool IsValid()
    {
        if (ShardCount is < 1 or > MaxShards || ReplicationFactor is < 1 or > MaxReplicas)
        {
            return false;
        }

        for (int s = 0; s < ShardCount; s++)
        {
            ReadOnlySpan<NodeId> row = RowOf(s);
            if (row.Length is < 1 or > MaxReplicas)
            {
                return false;
            }

            for (int i = 0; i < row.Length; i++)
            {
                if (row[i].IsNone || row[..i].Contains(row[i]))
                {
                    return false;
                }
            }
        }

        return true;
    }
}
