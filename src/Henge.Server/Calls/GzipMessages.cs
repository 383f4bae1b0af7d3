using System.IO.Compression;
using Grpc.Core;
using Grpc.Net.Compression;
using Henge.Core;
using Henge.Protocol;

namespace Henge.Server.Calls;

/// <summary>
/// Messages packed with gzip. What a message unpacks to is bounded while it is unpacked, so that a small one cannot fill memory, and it
/// must be one whole member (docs/decisions/0153-one-whole-gzip-member.md); the library's own provider asks for neither. Thread-safe.
/// </summary>
internal sealed class GzipMessages(int limitBytes) : ICompressionProvider
{
    /// <summary>Answers above this size are packed for callers that pack their requests.</summary>
    public const int FromBytes = 1024;

    /// <inheritdoc/>
    public string EncodingName => "gzip";

    /// <inheritdoc/>
    public Stream CreateCompressionStream(Stream stream, CompressionLevel? compressionLevel) =>
        new GZipStream(stream, compressionLevel ?? CompressionLevel.Fastest, leaveOpen: true);

    /// <summary>
    /// The unpacked message. Throws <see cref="RpcException"/>: RESOURCE_EXHAUSTED over the limit, INVALID_ARGUMENT for damaged data.
    /// </summary>
    public Stream CreateDecompressionStream(Stream stream)
    {
        using MemoryStream packed = new();
        stream.CopyTo(packed);
        try
        {
            byte[] plain =
                GzipMember.Inflate(packed.GetBuffer().AsMemory(0, (int)packed.Length), limitBytes)
                ?? throw MessageGuard.TooLong((long)limitBytes + 1, limitBytes);
            return new MemoryStream(plain, writable: false);
        }
        catch (InvalidDataException e)
        {
            throw CallErrors.Create(
                StatusCode.InvalidArgument,
                $"The message is flagged as compressed but is not one whole gzip member: {e.Message}",
                ErrorCode.InvalidArgument);
        }
    }
}
