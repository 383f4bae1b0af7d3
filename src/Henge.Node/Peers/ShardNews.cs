using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Context;

namespace Henge.Node.Peers;

/// <summary>
/// The record by which nodes tell each other where shards are. Its body (docs/formats.md, "Peer frames"), little-endian: for each shard
/// <c>shard u32 | term u64 | leader u64 | membership's term u64 | membership's index u64 | voters u16 | learners u16 | their ids, u64
/// each</c>, one after another.
/// </summary>
internal static class ShardNews
{
    private const int HeaderBytes = 40;

    /// <summary>Most members of a shard that a record names; a shard with more is not told of.</summary>
    public const int MaxMembers = 1_024;

    /// <summary>Writes a record about one shard.</summary>
    public static void Write(PeerFrameBuilder frame, ShardPlace place)
    {
        frame.BeginRecord(PeerRecordKind.ShardNews, ShardId.Catalog);
        Append(frame, place);
        frame.EndRecord();
    }

    /// <summary>Adds a shard to the record that is being written.</summary>
    public static void Append(PeerFrameBuilder frame, ShardPlace place)
    {
        int members = place.Voters.Count + place.Learners.Count;
        if (members > MaxMembers)
        {
            return;
        }

        int size = HeaderBytes + (8 * members);
        Span<byte> span = frame.GetSpan(size);
        BinaryPrimitives.WriteUInt32LittleEndian(span, place.Shard.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(span[4..], place.Term.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(span[12..], place.Leader.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(span[20..], place.MembershipTerm.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(span[28..], place.MembershipIndex.Value);
        BinaryPrimitives.WriteUInt16LittleEndian(span[36..], (ushort)place.Voters.Count);
        BinaryPrimitives.WriteUInt16LittleEndian(span[38..], (ushort)place.Learners.Count);
        Span<byte> ids = span[HeaderBytes..];
        foreach (NodeId id in place.Voters)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(ids, id.Value);
            ids = ids[8..];
        }

        foreach (NodeId id in place.Learners)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(ids, id.Value);
            ids = ids[8..];
        }

        frame.Advance(size);
    }

    /// <summary>Reads the next shard of a body, and moves behind it; false at the end, and at bytes that make no sense.</summary>
    public static bool TryRead(ref ReadOnlySpan<byte> body, out ShardPlace place)
    {
        place = null!;
        if (body.Length < HeaderBytes)
        {
            return false;
        }

        int voters = BinaryPrimitives.ReadUInt16LittleEndian(body[36..]), learners = BinaryPrimitives.ReadUInt16LittleEndian(body[38..]);
        int size = HeaderBytes + (8 * (voters + learners));
        if (voters + learners > MaxMembers || body.Length < size)
        {
            return false;
        }

        place = new ShardPlace
        {
            Shard = new ShardId(BinaryPrimitives.ReadUInt32LittleEndian(body)),
            Term = new Term(BinaryPrimitives.ReadUInt64LittleEndian(body[4..])),
            Leader = new NodeId(BinaryPrimitives.ReadUInt64LittleEndian(body[12..])),
            MembershipTerm = new Term(BinaryPrimitives.ReadUInt64LittleEndian(body[20..])),
            MembershipIndex = new LogIndex(BinaryPrimitives.ReadUInt64LittleEndian(body[28..])),
            Voters = Ids(body[HeaderBytes..], voters),
            Learners = Ids(body[(HeaderBytes + (8 * voters))..], learners),
        };
        body = body[size..];
        return true;
    }

    private static NodeId[] Ids(ReadOnlySpan<byte> bytes, int count)
    {
        var ids = new NodeId[count];
        for (int i = 0; i < count; i++)
        {
            ids[i] = new NodeId(BinaryPrimitives.ReadUInt64LittleEndian(bytes[(8 * i)..]));
        }

        return ids;
    }
}
