using System.Buffers.Binary;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Storage;

namespace Henge.Node.Peers;

/// <summary>
/// A read on its way to another node. The body (docs/formats.md, "Peer frames"), little-endian: <c>id u64 | remaining ms u32 | kind u8 |
/// phase u8 | consistency u8 | version u64 | who asks (see <see cref="AskerRecord"/>) | key</c>.
/// </summary>
internal readonly ref struct ReadRequest
{
    private const int HeaderBytes = 23;

    public ulong Id { get; private init; }

    public uint RemainingMs { get; private init; }

    public OperationKind Kind { get; private init; }

    public BarrierPhase Phase { get; private init; }

    public ReadConsistency Consistency { get; private init; }

    public Core.Version Version { get; private init; }

    /// <summary>Who asked the node that sends it.</summary>
    public AskerRecord Asker { get; private init; }

    public ReadOnlySpan<byte> Key { get; private init; }

    /// <summary>Writes the body of a read.</summary>
    public static void Write(PeerFrameBuilder frame, ulong id, uint remainingMs, Operation read)
    {
        ReadOnlySpan<byte> key = read.Kind == OperationKind.Get ? read.Key.Span : default;
        int size = HeaderBytes + AskerRecord.SizeOf(read.Asker) + key.Length;
        Span<byte> span = frame.GetSpan(size);
        BinaryPrimitives.WriteUInt64LittleEndian(span, id);
        BinaryPrimitives.WriteUInt32LittleEndian(span[8..], remainingMs);
        span[12] = (byte)read.Kind;
        span[13] = (byte)read.Phase;
        span[14] = (byte)read.Consistency;
        BinaryPrimitives.WriteUInt64LittleEndian(span[15..], read.ReadVersion.Value);
        key.CopyTo(AskerRecord.Write(span[HeaderBytes..], read.Asker));
        frame.Advance(size);
    }

    /// <summary>Reads a body; false when it makes no sense.</summary>
    public static bool TryRead(ReadOnlySpan<byte> body, out ReadRequest request)
    {
        request = default;
        if (body.Length < HeaderBytes)
        {
            return false;
        }

        if (!AskerRecord.TryRead(body[HeaderBytes..], out AskerRecord asker, out ReadOnlySpan<byte> key))
        {
            return false;
        }

        request = new ReadRequest
        {
            Id = BinaryPrimitives.ReadUInt64LittleEndian(body),
            RemainingMs = BinaryPrimitives.ReadUInt32LittleEndian(body[8..]),
            Kind = (OperationKind)body[12],
            Phase = (BarrierPhase)body[13],
            Consistency = (ReadConsistency)body[14],
            Version = new Core.Version(BinaryPrimitives.ReadUInt64LittleEndian(body[15..])),
            Asker = asker,
            Key = key,
        };
        return request is
        {
            Kind: OperationKind.Get or OperationKind.Barrier,
            Phase: BarrierPhase.None or BarrierPhase.Collect or BarrierPhase.Close,
            Consistency: ReadConsistency.Linearizable or ReadConsistency.Lease or ReadConsistency.Stale,
        }
            && (request.Kind == OperationKind.Barrier || request.Phase == BarrierPhase.None)
            && request.Version <= Core.Version.Max;
    }
}

/// <summary>
/// The outcome of a read. The body, little-endian: <c>id u64 | error u8 | found u8 | type u8 | version u64 | the value's version u64 | its
/// expiry i64 | the value, or the message of an error</c>.
/// </summary>
internal readonly ref struct ReadReply
{
    private const int HeaderBytes = 35;

    public ulong Id { get; private init; }

    public ErrorCode Error { get; private init; }

    public bool IsFound { get; private init; }

    public DataType Type { get; private init; }

    /// <summary>The version as of which was read, or that a barrier gives.</summary>
    public Core.Version Version { get; private init; }

    public Core.Version ValueVersion { get; private init; }

    public long ExpiresAtMs { get; private init; }

    /// <summary>The value; with an error, its message.</summary>
    public ReadOnlySpan<byte> Body { get; private init; }

    /// <summary>Writes the body of an outcome without a value.</summary>
    public static void Write(PeerFrameBuilder frame, ulong id, ErrorCode error, string? message, Core.Version version)
    {
        byte[] text = error == ErrorCode.None || message is null ? [] : Encoding.UTF8.GetBytes(message);
        Span<byte> span = Header(frame, id, error, version, text.Length);
        text.CopyTo(span[HeaderBytes..]);
        frame.Advance(HeaderBytes + text.Length);
    }

    /// <summary>Writes the body of an outcome with a value.</summary>
    public static void Write(PeerFrameBuilder frame, ulong id, Core.Version version, in PinnedValue value)
    {
        ReadOnlySpan<byte> bytes = value.Span;
        Span<byte> span = Header(frame, id, ErrorCode.None, version, bytes.Length);
        span[9] = 1;
        span[10] = (byte)value.Type;
        BinaryPrimitives.WriteUInt64LittleEndian(span[19..], value.Version.Value);
        BinaryPrimitives.WriteInt64LittleEndian(span[27..], value.ExpiresAtMs);
        bytes.CopyTo(span[HeaderBytes..]);
        frame.Advance(HeaderBytes + bytes.Length);
    }

    /// <summary>Reads a body; false when it makes no sense.</summary>
    public static bool TryRead(ReadOnlySpan<byte> body, out ReadReply reply)
    {
        reply = default;
        if (body.Length < HeaderBytes)
        {
            return false;
        }

        reply = new ReadReply
        {
            Id = BinaryPrimitives.ReadUInt64LittleEndian(body),
            Error = (ErrorCode)body[8],
            IsFound = body[9] != 0,
            Type = (DataType)body[10],
            Version = new Core.Version(BinaryPrimitives.ReadUInt64LittleEndian(body[11..])),
            ValueVersion = new Core.Version(BinaryPrimitives.ReadUInt64LittleEndian(body[19..])),
            ExpiresAtMs = BinaryPrimitives.ReadInt64LittleEndian(body[27..]),
            Body = body[HeaderBytes..],
        };
        return reply is { Type: DataType.Bytes or DataType.Hash, ExpiresAtMs: >= 0 }
            && reply.Version <= Core.Version.Max && reply.ValueVersion <= Core.Version.Max;
    }

    private static Span<byte> Header(PeerFrameBuilder frame, ulong id, ErrorCode error, Core.Version version, int bytes)
    {
        Span<byte> span = frame.GetSpan(HeaderBytes + bytes);
        span[..HeaderBytes].Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(span, id);
        span[8] = (byte)error;
        BinaryPrimitives.WriteUInt64LittleEndian(span[11..], version.Value);
        return span;
    }
}
