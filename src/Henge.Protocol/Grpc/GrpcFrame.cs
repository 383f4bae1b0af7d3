using System.Buffers;
using System.Buffers.Binary;
using Google.Protobuf;
using Henge.Core;

namespace Henge.Protocol.Grpc;

/// <summary>
/// The framing of messages: <c>compressed u8 | length u32 BE | message</c> (gRPC over HTTP/2, "Length-Prefixed-Message"). Pure functions; limits
/// are judged from the five bytes of the prefix, before anything of the message is waited for or kept.
/// </summary>
public static class GrpcFrame
{
    /// <summary>Bytes before each message.</summary>
    public const int PrefixBytes = 5;

    /// <summary>
    /// Takes one message off the front of a buffer. False: more bytes are needed (<paramref name="buffer"/> stays as it is).
    /// Throws <see cref="GrpcException"/> for a message over the limit (RESOURCE_EXHAUSTED) and for a broken prefix (INTERNAL).
    /// </summary>
    /// <param name="buffer">What has arrived; begins behind the message afterwards.</param>
    /// <param name="limitBytes">Longest message, as it is on the wire.</param>
    /// <param name="message">The message's bytes, still compressed if <paramref name="compressed"/>.</param>
    /// <param name="compressed">The compressed flag.</param>
    public static bool TryRead(ref ReadOnlySequence<byte> buffer, int limitBytes, out ReadOnlySequence<byte> message, out bool compressed)
    {
        message = default;
        compressed = false;
        if (buffer.Length < PrefixBytes)
        {
            return false;
        }

        int length;
        ReadOnlySpan<byte> first = buffer.FirstSpan;
        if (first.Length >= PrefixBytes)
        {
            length = ReadPrefix(first, limitBytes, out compressed);
        }
        else
        {
            Span<byte> prefix = stackalloc byte[PrefixBytes];
            buffer.Slice(0, PrefixBytes).CopyTo(prefix);
            length = ReadPrefix(prefix, limitBytes, out compressed);
        }

        if (buffer.Length - PrefixBytes < length)
        {
            return false;
        }

        message = buffer.Slice(PrefixBytes, length);
        buffer = buffer.Slice(message.End);
        return true;
    }

    /// <summary>Reads a prefix of five bytes and returns the message's length. Throws as <see cref="TryRead"/> does.</summary>
    public static int ReadPrefix(ReadOnlySpan<byte> prefix, int limitBytes, out bool compressed)
    {
        if (prefix[0] > 1)
        {
            throw new GrpcException(GrpcStatusCode.Internal, $"The compressed flag of a gRPC message must be 0 or 1, and is {prefix[0]}.");
        }

        compressed = prefix[0] == 1;
        uint length = BinaryPrimitives.ReadUInt32BigEndian(prefix[1..]);
        return length <= (uint)limitBytes ? (int)length : throw TooLong(length, limitBytes);
    }

    /// <summary>Writes the prefix of an uncompressed message.</summary>
    public static void WritePrefix(Span<byte> destination, int lengthBytes, bool compressed = false)
    {
        destination[0] = compressed ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt32BigEndian(destination[1..], (uint)lengthBytes);
    }

    /// <summary>Writes prefix and message, uncompressed. Throws <see cref="GrpcException"/> (RESOURCE_EXHAUSTED) over the limit, before anything is written.</summary>
    public static void Write(IBufferWriter<byte> writer, IMessage message, int limitBytes = int.MaxValue - PrefixBytes)
    {
        int size = message.CalculateSize();
        if (size > limitBytes)
        {
            throw TooLong((uint)size, limitBytes);
        }

        // One span for both, so that the message is written in place.
        Span<byte> span = writer.GetSpan(size + PrefixBytes)[..(size + PrefixBytes)];
        WritePrefix(span, size);
        message.WriteTo(span[PrefixBytes..]);
        writer.Advance(span.Length);
    }

    /// <summary>Writes prefix and message, compressed with gzip.</summary>
    public static void WriteGzip(IBufferWriter<byte> writer, IMessage message, int limitBytes = int.MaxValue - PrefixBytes)
    {
        int size = message.CalculateSize();
        if (size > limitBytes)
        {
            throw TooLong((uint)size, limitBytes);
        }

        byte[] plain = ArrayPool<byte>.Shared.Rent(size);
        try
        {
            message.WriteTo(plain.AsSpan(0, size));
            WriteGzip(writer, plain.AsSpan(0, size));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(plain);
        }
    }

    /// <summary>Writes prefix and an encoded message, compressed with gzip.</summary>
    public static void WriteGzip(IBufferWriter<byte> writer, ReadOnlySpan<byte> message)
    {
        using MemoryStream packed = GrpcGzip.Compress(message);
        Span<byte> span = writer.GetSpan((int)packed.Length + PrefixBytes)[..((int)packed.Length + PrefixBytes)];
        WritePrefix(span, (int)packed.Length, compressed: true);
        packed.GetBuffer().AsSpan(0, (int)packed.Length).CopyTo(span[PrefixBytes..]);
        writer.Advance(span.Length);
    }

    /// <summary>
    /// Parses a message into <paramref name="target"/>. Throws <see cref="GrpcException"/>: INVALID_ARGUMENT when the bytes are no such message,
    /// RESOURCE_EXHAUSTED when it unpacks to more than the limit.
    /// </summary>
    public static void Parse(in ReadOnlySequence<byte> message, bool compressed, int limitBytes, IMessage target)
    {
        try
        {
            target.MergeFrom(compressed ? new ReadOnlySequence<byte>(GrpcGzip.Decompress(message, limitBytes)) : message);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new GrpcException(GrpcStatusCode.InvalidArgument, $"The message is not a valid {target.Descriptor.FullName}: {e.Message}", ErrorCode.InvalidArgument, e);
        }
    }

    /// <summary>The error for a message over a limit.</summary>
    internal static GrpcException TooLong(long lengthBytes, int limitBytes) => new(
        GrpcStatusCode.ResourceExhausted,
        $"A message of {lengthBytes} bytes is over the limit of {limitBytes} bytes. Send less at once, or raise the limit on both ends.",
        ErrorCode.TooLarge);
}
