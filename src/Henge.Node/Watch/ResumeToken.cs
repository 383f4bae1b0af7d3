using System.Buffers.Binary;
using Henge.Core;

namespace Henge.Node.Watch;

/// <summary>
/// Where a watch stands, for its client to keep: <c>format u8 | count varint | (shard varint | next version varint)* | crc32c u32 LE</c>,
/// shards rising. Opaque to clients.
/// </summary>
internal static class ResumeToken
{
    private const byte Format = 1;

    public static byte[] Encode(IReadOnlyList<(ShardId Shard, Core.Version Next)> positions)
    {
        var token = new byte[1 + Varint.MaxBytes + (positions.Count * 2 * Varint.MaxBytes) + 4];
        SpanWriter writer = new(token);
        writer.WriteByte(Format);
        writer.WriteVarint((ulong)positions.Count);
        foreach ((ShardId shard, Core.Version next) in positions)
        {
            writer.WriteVarint(shard.Value);
            writer.WriteVarint(next.Value);
        }

        writer.WriteUInt32(Crc32C.Compute(token.AsSpan(0, writer.Written)));
        return token[..writer.Written];
    }

    /// <summary>
    /// Throws <see cref="HengeException"/> (InvalidArgument) for what is not a token, or names a shard that a cluster of so many shards
    /// does not have.
    /// </summary>
    public static List<(ShardId Shard, Core.Version Next)> Decode(ReadOnlySpan<byte> token, int shards)
    {
        var positions = new List<(ShardId, Core.Version)>();
        if (token.Length < 6 || token[0] != Format || BinaryPrimitives.ReadUInt32LittleEndian(token[^4..]) != Crc32C.Compute(token[..^4]))
        {
            throw Malformed();
        }

        SpanReader reader = new(token[1..^4]);
        if (!reader.TryReadVarint(out ulong count) || count > (ulong)shards)
        {
            throw Malformed();
        }

        long last = -1;
        for (; count > 0; count--)
        {
            if (!reader.TryReadVarint(out ulong shard) || !reader.TryReadVarint(out ulong next)
                || shard >= (ulong)shards || (long)shard <= last || next > Core.Version.MaxValue + 1)
            {
                throw Malformed();
            }

            last = (long)shard;
            positions.Add((new ShardId((uint)shard), new Core.Version(next)));
        }

        return reader.IsEmpty ? positions : throw Malformed();
    }

    private static HengeException Malformed() =>
        new(
            ErrorCode.InvalidArgument,
            "The resume token is not one of this cluster's watches: use the bytes of an earlier event unchanged, or watch from a version.");
}
