using System.Buffers;
using System.IO.Compression;
using Henge.Core;

namespace Henge.Protocol.Grpc;

/// <summary>Messages packed with gzip. What a message unpacks to is bounded while it is unpacked, so that a small one cannot fill memory. Thread-safe.</summary>
public static class GrpcGzip
{
    /// <summary>
    /// Unpacks a message, which is one whole gzip member. Throws <see cref="GrpcException"/>: RESOURCE_EXHAUSTED over the limit, INVALID_ARGUMENT for damaged data.
    /// </summary>
    public static byte[] Decompress(in ReadOnlySequence<byte> packed, int limitBytes)
    {
        try
        {
            return GzipMember.Inflate(packed.IsSingleSegment ? packed.First : packed.ToArray(), limitBytes) ?? throw GrpcFrame.TooLong((long)limitBytes + 1, limitBytes);
        }
        catch (InvalidDataException e)
        {
            throw new GrpcException(GrpcStatusCode.InvalidArgument, $"The message is flagged as compressed but is not one whole gzip member: {e.Message}", ErrorCode.InvalidArgument, e);
        }
    }

    /// <summary>Packs a message.</summary>
    public static MemoryStream Compress(ReadOnlySpan<byte> plain)
    {
        MemoryStream packed = new();
        using (GZipStream gzip = new(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(plain);
        }

        return packed;
    }
}
