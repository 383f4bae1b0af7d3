using System.Buffers.Binary;
using Henge.Core;

namespace Henge.Node.Watch;

/// <summary>
/// Where a watch stands, for its client to keep: <c>format u8 | count varint | (shard varint | next version varint)* | crc32c u32 LE</c>, shards rising. Opaque to clients.
/// </summary>
internal static class ResumeToken
{
    private const byte Format = 1;

    public static byte[] Encode(IReadOnlyList<(ShardId Shard, Core.Version Next)> positions)
    {
        var token = new byte[1 + Varint.MaxBytes + (positions.Count * 2 * Varint.MaxBytes) + 4];
        token[0] = Format;
        int at = 1 + Varint.Write(token.AsSpan(1), (ulong)positions.Count);
        foreach ((ShardId shard, Core.Version next) in positions)
        {
            at += Varint.Write(token.AsSpan(at), shard.Value);
            at += Varint.Write(token.AsSpan(at), next.Value);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(token.AsSpan(at), Crc32C.Compute(token.AsSpan(0, at)));
        return token[..(at + 4)];
    }

    /// <summary>Throws <see cref="HengeException"/> (InvalidArgument) for what is not a token, or names a shard that a cluster of so many shards does not have.</summary>
    public static List<(ShardId Shard, Core.Version Next)> Decode(ReadOnlySpan<byte> token, int shards)
    {
        var positions = new List<(ShardId, Core.Version)>();
        if (token.Length < 6 || token[0] != Format || BinaryPrimitives.ReadUInt32LittleEndian(token[^4..]) != Crc32C.Compute(token[..^4]))
        {
            throw Bad();
        }

        ReadOnlySpan<byte> rest = token[1..^4];
        ulong count = Take(ref rest);
        if (count > (ulong)shards)
        {
            throw Bad();
        }

        long last = -1;
        for (; count > 0; count--)
        {
            ulong shard = Take(ref rest);
            ulong next = Take(ref rest);
            if (shard >= (ulong)shards || (long)shard <= last || next > Core.Version.MaxValue + 1)
            {
                throw Bad();
            }

            last = (long)shard;
            positions.Add((new ShardId((uint)shard), new Core.Version(next)));
        }

        return rest.IsEmpty ? positions : throw Bad();
    }

    private static ulong Take(ref ReadOnlySpan<byte> rest)
    {
        if (!Varint.TryRead(rest, out ulong value, out int size))
        {
            throw Bad();
        }

        rest = rest[size..];
        return value;
    }

    private static HengeException Bad() =>
        new(ErrorCode.InvalidArgument, "The resume token is not one of this cluster's watches: use the bytes of an earlier event unchanged, or watch from a version.");
}
