using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Peers;

namespace Henge.Node.Remote;

/// <summary>
/// A request for a page of several shards. The body (docs/formats.md, "Peer frames"), little-endian: <c>id u64 | remaining ms u32 | flags
/// u8 (1 reverse, 2 keys only, 4 history, 8 stale) | version u64 | most items u32 | most bytes u32 | lower length u32 | lower | upper
/// length u32 | upper | shards u32 | their numbers, u32 each | who asks (see
/// <see cref="AskerRecord"/>)</c>.
/// </summary>
internal sealed record PageRequest
{
    private const int HeaderBytes = 41;
    private const byte Reverse = 1, KeysOnly = 2, History = 4, Stale = 8;

    public required ulong Id { get; init; }

    public required uint RemainingMs { get; init; }

    public required PageFetch Page { get; init; }

    public required IReadOnlyList<ShardId> Shards { get; init; }

    /// <summary>Writes the body of a request for an operation.</summary>
    public void Write(IBufferWriter<byte> writer, Operation operation)
    {
        ScanQuery query = Page.Query;
        int size = HeaderBytes + query.Lower.Length + query.Upper.Length + (4 * Shards.Count) + AskerRecord.SizeOf(operation.Asker);
        Span<byte> span = writer.GetSpan(size);
        BinaryPrimitives.WriteUInt64LittleEndian(span, Id);
        BinaryPrimitives.WriteUInt32LittleEndian(span[8..], RemainingMs);
        span[12] = (byte)((query.Reverse ? Reverse : 0) | (query.KeysOnly ? KeysOnly : 0) | (Page.IsHistory ? History : 0)
            | (Page.IsStale ? Stale : 0));
        BinaryPrimitives.WriteUInt64LittleEndian(span[13..], query.Version.Value);
        BinaryPrimitives.WriteInt32LittleEndian(span[21..], query.LimitItems);
        BinaryPrimitives.WriteInt32LittleEndian(span[25..], query.LimitBytes);
        Span<byte> rest = Put(span[29..], query.Lower.Span);
        rest = Put(rest, query.Upper.Span);
        BinaryPrimitives.WriteInt32LittleEndian(rest, Shards.Count);
        for (int i = 0; i < Shards.Count; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(rest[(4 + (4 * i))..], Shards[i].Value);
        }

        AskerRecord.Write(rest[(4 + (4 * Shards.Count))..], operation.Asker);
        writer.Advance(size);
    }

    /// <summary>Reads a body; null when it makes no sense.</summary>
    public static PageRequest? TryRead(ReadOnlySpan<byte> body, out AskerRecord asker)
    {
        asker = default;
        if (body.Length < HeaderBytes)
        {
            return null;
        }

        byte flags = body[12];
        ReadOnlySpan<byte> rest = body[29..];
        if (!TryTake(ref rest, out ReadOnlySpan<byte> lower) || !TryTake(ref rest, out ReadOnlySpan<byte> upper) || rest.Length < 4)
        {
            return null;
        }

        uint count = BinaryPrimitives.ReadUInt32LittleEndian(rest);
        if (count is 0 or > ShardMap.MaxShards || (ulong)count * 4 > (ulong)(rest.Length - 4))
        {
            return null;
        }

        if (!AskerRecord.TryRead(rest[(4 + (4 * (int)count))..], out asker, out ReadOnlySpan<byte> behind) || !behind.IsEmpty)
        {
            return null;
        }

        var shards = new ShardId[count];
        for (int i = 0; i < shards.Length; i++)
        {
            shards[i] = new ShardId(BinaryPrimitives.ReadUInt32LittleEndian(rest[(4 + (4 * i))..]));
        }

        var query = new ScanQuery
        {
            Version = new Core.Version(BinaryPrimitives.ReadUInt64LittleEndian(body[13..])),
            Lower = lower.ToArray(),
            Upper = upper.ToArray(),
            Reverse = (flags & Reverse) != 0,
            KeysOnly = (flags & KeysOnly) != 0,
            LimitItems = BinaryPrimitives.ReadInt32LittleEndian(body[21..]),
            LimitBytes = BinaryPrimitives.ReadInt32LittleEndian(body[25..]),
        };
        bool isHistory = (flags & History) != 0;
        if (query.LimitItems < 1 || query.LimitBytes < 0 || query.Version > Core.Version.Max || (isHistory && count != 1))
        {
            return null;
        }

        return new PageRequest
        {
            Id = BinaryPrimitives.ReadUInt64LittleEndian(body),
            RemainingMs = BinaryPrimitives.ReadUInt32LittleEndian(body[8..]),
            Page = isHistory
                ? PageFetch.OfHistory(query.Lower, query.Version, query.LimitItems, query.LimitBytes, (flags & Stale) != 0)
                : PageFetch.OfScan(query, (flags & Stale) != 0),
            Shards = shards,
        };
    }

    private static Span<byte> Put(Span<byte> span, ReadOnlySpan<byte> bytes)
    {
        BinaryPrimitives.WriteInt32LittleEndian(span, bytes.Length);
        bytes.CopyTo(span[4..]);
        return span[(4 + bytes.Length)..];
    }

    private static bool TryTake(ref ReadOnlySpan<byte> rest, out ReadOnlySpan<byte> bytes)
    {
        bytes = default;
        if (rest.Length < 4)
        {
            return false;
        }

        uint length = BinaryPrimitives.ReadUInt32LittleEndian(rest);
        if (length > (uint)(rest.Length - 4))
        {
            return false;
        }

        bytes = rest.Slice(4, (int)length);
        rest = rest[(4 + (int)length)..];
        return true;
    }
}

/// <summary>
/// A page that was asked for, or why there is none. The body, little-endian: <c>id u64 | error u8 | 1 more or 0 u8 | applied u64 | items
/// u32 | next key's length u32 | next key | the entries (see <see cref="RemotePage"/>), or the message of an error</c>.
/// </summary>
internal readonly ref struct PageReply
{
    private const int HeaderBytes = 26;

    public ulong Id { get; private init; }

    public ErrorCode Error { get; private init; }

    /// <summary>Of a page.</summary>
    public bool HasMore { get; private init; }

    public Core.Version Applied { get; private init; }

    public int Count { get; private init; }

    public ReadOnlySpan<byte> NextKey { get; private init; }

    /// <summary>The entries; with an error, its message.</summary>
    public ReadOnlySpan<byte> Body { get; private init; }

    /// <summary>The message of an error.</summary>
    public string Message => Encoding.UTF8.GetString(Body);

    /// <summary>Writes the body of a page.</summary>
    public static void Write(IBufferWriter<byte> writer, ulong id, in ScanEnd end, ReadOnlySpan<byte> entries)
    {
        ReadOnlySpan<byte> next = end.NextKey;
        int size = HeaderBytes + next.Length + entries.Length;
        Span<byte> span = writer.GetSpan(size);
        BinaryPrimitives.WriteUInt64LittleEndian(span, id);
        span[8] = (byte)ErrorCode.None;
        span[9] = end.More ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt64LittleEndian(span[10..], end.Applied.Value);
        BinaryPrimitives.WriteInt32LittleEndian(span[18..], end.Items);
        BinaryPrimitives.WriteInt32LittleEndian(span[22..], next.Length);
        next.CopyTo(span[HeaderBytes..]);
        entries.CopyTo(span[(HeaderBytes + next.Length)..]);
        writer.Advance(size);
    }

    /// <summary>Writes the body of an error.</summary>
    public static void Write(IBufferWriter<byte> writer, ulong id, ErrorCode error, string message)
    {
        byte[] text = Encoding.UTF8.GetBytes(message);
        int size = HeaderBytes + text.Length;
        Span<byte> span = writer.GetSpan(size);
        span[..HeaderBytes].Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(span, id);
        span[8] = (byte)error;
        text.CopyTo(span[HeaderBytes..]);
        writer.Advance(size);
    }

    /// <summary>Reads a body; false when it makes no sense.</summary>
    public static bool TryRead(ReadOnlySpan<byte> body, out PageReply reply)
    {
        reply = default;
        if (body.Length < HeaderBytes)
        {
            return false;
        }

        uint next = BinaryPrimitives.ReadUInt32LittleEndian(body[22..]);
        if (next > (uint)(body.Length - HeaderBytes))
        {
            return false;
        }

        reply = new PageReply
        {
            Id = BinaryPrimitives.ReadUInt64LittleEndian(body),
            Error = (ErrorCode)body[8],
            HasMore = body[9] != 0,
            Applied = new Core.Version(BinaryPrimitives.ReadUInt64LittleEndian(body[10..])),
            Count = BinaryPrimitives.ReadInt32LittleEndian(body[18..]),
            NextKey = body.Slice(HeaderBytes, (int)next),
            Body = body[(HeaderBytes + (int)next)..],
        };
        return reply.Applied <= Core.Version.Max;
    }
}
