using System.Net;
using System.Net.Http.Headers;

namespace Henge.Client.Grpc;

/// <summary>
/// The one message of a unary call. The HTTP stack asks for it when there is a connection and the headers have gone out on it: until then no node can have done anything.
/// </summary>
internal sealed class UnaryContent : HttpContent
{
    private readonly byte[] _framed;
    private int _isLeaving;

    public UnaryContent(byte[] framed, MediaTypeHeaderValue contentType)
    {
        _framed = framed;
        Headers.ContentType = contentType;
    }

    /// <summary>True once the message may have left.</summary>
    public bool IsLeaving => Volatile.Read(ref _isLeaving) != 0;

    /// <inheritdoc/>
    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    /// <inheritdoc/>
    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        Volatile.Write(ref _isLeaving, 1);
        return stream.WriteAsync(_framed.AsMemory(), cancellationToken).AsTask();
    }

    /// <inheritdoc/>
    protected override bool TryComputeLength(out long length)
    {
        length = _framed.Length;
        return true;
    }
}
