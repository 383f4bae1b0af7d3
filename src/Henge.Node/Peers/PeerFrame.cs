using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Context;

namespace Henge.Node.Peers;

/// <summary>
/// The format of what nodes send each other (docs/formats.md, "Peer frames"):
/// <c>magic u32 | length u32 | crc32c u32 | cluster u64 | from u64 | to u64 | incarnation u64 | receiver's incarnation u64 | records</c>,
/// little-endian; the length counts the bytes after the checksum and the checksum covers them. A record is <c>kind u8 | shard u32 | length
/// u32 | body</c>.
/// </summary>
public static class PeerFrame
{
    /// <summary>"HGP" and the version 3.</summary>
    public const uint Magic = 0x03504748;

    /// <summary>Bytes before what the length counts.</summary>
    public const int PrefixBytes = 12;

    /// <summary>Bytes before the first record.</summary>
    public const int HeaderBytes = PrefixBytes + 40;

    /// <summary>Bytes before a record's body.</summary>
    public const int RecordHeaderBytes = 9;

    /// <summary>The longest frame that is taken.</summary>
    public const int MaxBytes = 64 * 1024 * 1024;

    /// <summary>The longest hello, which is all that is taken from a peer before it is known.</summary>
    public const int MaxHelloBytes = 128 * 1024;

    /// <summary>
    /// Tells how long the frame is that begins with these bytes (at least <see cref="PrefixBytes"/>), or why it is none.
    /// </summary>
    public static bool TryReadLength(ReadOnlySpan<byte> prefix, out int bytes, out string? error) =>
        TryReadLength(prefix, MaxBytes, out bytes, out error);

    /// <summary>As the other one, with a bound of the caller's.</summary>
    public static bool TryReadLength(ReadOnlySpan<byte> prefix, int limitBytes, out int bytes, out string? error)
    {
        bytes = 0;
        error = null;
        uint magic = BinaryPrimitives.ReadUInt32LittleEndian(prefix);
        if (magic != Magic)
        {
            error =
                (magic & 0x00FF_FFFF) == (Magic & 0x00FF_FFFF)
                    ? $"the peer speaks version {magic >> 24} of the peer protocol and this build version {Magic >> 24}: run the same "
                        + $"release on all nodes"
                    : "what came is not a peer frame";
            return false;
        }

        uint length = BinaryPrimitives.ReadUInt32LittleEndian(prefix[4..]);
        if (length < HeaderBytes - PrefixBytes || length > limitBytes - PrefixBytes)
        {
            error =
                $"a peer frame says a length of {length} bytes; {limitBytes} is the "
                    + $"most{(limitBytes == MaxHelloBytes ? " for the hello, which comes first" : "")}";
            return false;
        }

        bytes = PrefixBytes + (int)length;
        return true;
    }

    /// <summary>
    /// Who says to have sent a frame (of at least <see cref="HeaderBytes"/>). Not checked: for telling which connection belongs to whom.
    /// </summary>
    public static NodeId SenderOf(ReadOnlySpan<byte> frame) => new(BinaryPrimitives.ReadUInt64LittleEndian(frame[20..]));

    /// <summary>Reads and checks a whole frame.</summary>
    internal static bool TryRead(ReadOnlySpan<byte> frame, out PeerSender sender, out PeerReceiver to, out PeerRecordReader records)
    {
        sender = default;
        to = default;
        records = default;
        if (frame.Length < HeaderBytes || !TryReadLength(frame, out int bytes, out _) || bytes != frame.Length
            || BinaryPrimitives.ReadUInt32LittleEndian(frame[8..]) != Crc32C.Compute(frame[PrefixBytes..]))
        {
            return false;
        }

        sender = new PeerSender(
            BinaryPrimitives.ReadUInt64LittleEndian(frame[12..]),
            new NodeId(BinaryPrimitives.ReadUInt64LittleEndian(frame[20..])),
            BinaryPrimitives.ReadUInt64LittleEndian(frame[36..]));
        to = new PeerReceiver(
            new NodeId(BinaryPrimitives.ReadUInt64LittleEndian(frame[28..])),
            BinaryPrimitives.ReadUInt64LittleEndian(frame[44..]));
        records = new PeerRecordReader(frame[HeaderBytes..]);
        return true;
    }

    /// <summary>Walks a frame that <see cref="TryRead"/> has found good.</summary>
    internal static PeerRecordReader ReadChecked(ReadOnlySpan<byte> frame) => new(frame[HeaderBytes..]);
}
