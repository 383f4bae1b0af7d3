using System.Buffers;
using System.IO.Compression;
using System.Runtime.InteropServices;
using Henge.Core;

namespace Henge.Protocol.Grpc;

/// <summary>Messages packed with gzip. What a message unpacks to is bounded while it is unpacked, so that a small one cannot fill memory. Thread-safe.</summary>
public static class GrpcGzip
{
    /// <summary>Unpacks a message. Throws <see cref="GrpcException"/>: RESOURCE_EXHAUSTED over the limit, INVALID_ARGUMENT for damaged data.</summary>
    public static byte[] Decompress(in ReadOnlySequence<byte> packed, int limitBytes)
    {
        using MemoryStream plain = new();
        byte[] chunk = ArrayPool<byte>.Shared.Rent(16 * 1024);
        try
        {
            using GZipStream gzip = new(Open(packed), CompressionMode.Decompress);
            for (int read; (read = gzip.Read(chunk)) > 0;)
            {
                if (plain.Length + read > limitBytes)
                {
                    throw GrpcFrame.TooLong(plain.Length + read, limitBytes);
                }

                plain.Write(chunk, 0, read);
            }
        }
        catch (InvalidDataException e)
        {
            throw new GrpcException(GrpcStatusCode.InvalidArgument, $"The message is flagged as compressed but is not valid gzip: {e.Message}", ErrorCode.InvalidArgument, e);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }

        return plain.ToArray();
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

    private static MemoryStream Open(in ReadOnlySequence<byte> packed) =>
        packed.IsSingleSegment && MemoryMarshal.TryGetArray(packed.First, out ArraySegment<byte> array)
            ? new MemoryStream(array.Array!, array.Offset, array.Count, writable: false)
            : new MemoryStream(packed.ToArray(), writable: false);
}
