using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Peers;
using Henge.Node.Watch;

namespace Henge.Node.Subscriptions;

/// <summary>
/// What a node asks another one for (docs/formats.md, "Peer frames"): <c>subscription u64 | credit u64 | flags u8 | lower | upper | shards
/// varint | (shard varint | next version varint)* | who asks (see <see cref="AskerRecord"/>)</c>.
/// </summary>
/// <param name="Id">Its number, which its sender uses once.</param>
/// <param name="Query">The keys, and what events carry.</param>
/// <param name="Positions">The shards, each with where the watch stands in it.</param>
/// <param name="Credit">Bytes of events that may be sent.</param>
internal sealed record WatchOpening(ulong Id, WatchQuery Query, IReadOnlyList<ShardPosition> Positions, ulong Credit)
{
    private const byte PreviousValues = 1;
    private const byte Progress = 2;

    /// <summary>Writes it.</summary>
    public void Write(IBufferWriter<byte> writer)
    {
        Span<byte> numbers = writer.GetSpan(16);
        BinaryPrimitives.WriteUInt64LittleEndian(numbers, Id);
        BinaryPrimitives.WriteUInt64LittleEndian(numbers[8..], Credit);
        writer.Advance(16);
        writer.WriteByte((byte)((Query.PreviousValues ? PreviousValues : 0) | (Query.Progress ? Progress : 0)));
        writer.WriteBytes(Query.Lower.Span);
        writer.WriteBytes(Query.Upper.Span);
        writer.WriteVarint((ulong)Positions.Count);
        foreach (ShardPosition position in Positions)
        {
            writer.WriteVarint(position.Shard.Value);
            writer.WriteVarint(position.Next.Value);
        }

        int size = AskerRecord.SizeOf(Query.Asker);
        AskerRecord.Write(writer.GetSpan(size), Query.Asker);
        writer.Advance(size);
    }

    /// <summary>Reads it; false for what makes no sense in a cluster of so many shards, with keys of at most so many bytes.</summary>
    public static bool TryRead(ReadOnlySpan<byte> body, int shards, int keyBytes, [NotNullWhen(true)] out WatchOpening? opening)
    {
        opening = null;
        var reader = new SpanReader(body);
        if (!reader.TryReadUInt64(out ulong id) || !reader.TryReadUInt64(out ulong credit))
        {
            return false;
        }

        byte flags = reader.ReadByte();
        ReadOnlySpan<byte> lower = reader.ReadBytes();
        ReadOnlySpan<byte> upper = reader.ReadBytes();
        ulong count = reader.ReadVarint((ulong)shards);
        if (reader.Failed || flags > (PreviousValues | Progress) || lower.Length > keyBytes + 1 || upper.Length > keyBytes + 1
            || count == 0 || (!upper.IsEmpty && lower.SequenceCompareTo(upper) >= 0))
        {
            return false;
        }

        var positions = new List<ShardPosition>();
        long last = -1;
        for (; count > 0; count--)
        {
            ulong shard = reader.ReadVarint((ulong)shards - 1);
            ulong next = reader.ReadVarint(Core.Version.MaxValue + 1);
            if (reader.Failed || (long)shard <= last)
            {
                return false;
            }

            last = (long)shard;
            positions.Add(new ShardPosition(new ShardId((uint)shard), new Core.Version(next)));
        }

        if (!AskerRecord.TryRead(reader.Rest, out AskerRecord asker, out ReadOnlySpan<byte> behind) || !behind.IsEmpty)
        {
            return false;
        }

        var query = new WatchQuery
        {
            Lower = lower.ToArray(),
            Upper = upper.ToArray(),
            PreviousValues = (flags & PreviousValues) != 0,
            Progress = (flags & Progress) != 0,
            Asker = asker.ToAsker(),
        };
        opening = new WatchOpening(id, query, positions, credit);
        return true;
    }
}
