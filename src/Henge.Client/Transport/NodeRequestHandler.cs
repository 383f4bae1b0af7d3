using System.Net.Http.Headers;
using Henge.Protocol.Grpc;

namespace Henge.Client.Transport;

/// <summary>
/// What Grpc.Net.Client has no setting for, done to its requests on their way.
/// <para>
/// A node is told how long it may take. That is less than the client waits (see <see cref="AttemptTiming"/>), and the library knows only
/// one deadline for both; it also measures it by the machine's clock in place of <see cref="HengeClientOptions.TimeProvider"/>. So calls
/// carry no deadline of the library, but a header that becomes <c>grpc-timeout</c> here.
/// </para>
/// <para>
/// A stream that is written to bit by bit and that the node refused is not tried on another connection: what was written to the first one
/// would be missing on the second, and its callers would wait.
/// </para>
/// <para>Every call says who calls. Here, because a token may have to be waited for, and because nothing gets past this place.</para>
/// </summary>
internal sealed class NodeRequestHandler(HttpMessageHandler inner, NodeCredentials? credentials = null) : DelegatingHandler(inner)
{
    /// <summary>The header of a call that holds what <c>grpc-timeout</c> shall hold.</summary>
    public const string TimeoutHeader = "henge-node-timeout";

    /// <summary>The header of a call whose body is to be sent once. It does not leave.</summary>
    public const string OnceHeader = "henge-once";

    /// <inheritdoc/>
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (request.Headers.NonValidated.TryGetValues(TimeoutHeader, out HeaderStringValues values))
        {
            string timeout = values.ToString();
            request.Headers.Remove(TimeoutHeader);
            request.Headers.TryAddWithoutValidation(GrpcHeaders.Timeout, timeout);
        }
        else if (request.Content is { } content && request.Headers.Remove(OnceHeader))
        {
            request.Content = new OnceContent(content);
        }

        if (credentials is null)
        {
            return base.SendAsync(request, cancellationToken);
        }

        ValueTask<string> header = credentials.HeaderAsync(request.RequestUri!, cancellationToken);
        return header.IsCompletedSuccessfully
            ? SendAsync(request, header.Result, cancellationToken)
            : SendLaterAsync(request, header, cancellationToken);
    }

    private async Task<HttpResponseMessage> SendLaterAsync(
        HttpRequestMessage request,
        ValueTask<string> header,
        CancellationToken cancellationToken) =>
        await SendAsync(request, await header.ConfigureAwait(false), cancellationToken).ConfigureAwait(false);

    private Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, string authorization, CancellationToken cancellationToken)
    {
        request.Headers.TryAddWithoutValidation(GrpcHeaders.Authorization, authorization);
        return base.SendAsync(request, cancellationToken);
    }

    /// <summary>A body that is given once.</summary>
    private sealed class OnceContent : HttpContent
    {
        private readonly HttpContent _body;
        private int _given;

        public OnceContent(HttpContent body)
        {
            _body = body;
            Headers.ContentType = body.Headers.ContentType;
        }

        protected override Task SerializeToStreamAsync(Stream stream, System.Net.TransportContext? context) =>
            SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override Task SerializeToStreamAsync(
            Stream stream,
            System.Net.TransportContext? context,
            CancellationToken cancellationToken)
        {
            // SocketsHttpHandler asks again only when the node has said that it did not look at the request.
            return Interlocked.Exchange(ref _given, 1) == 0
                ? _body.CopyToAsync(stream, context, cancellationToken)
                : throw new HttpRequestException(HttpRequestError.ConnectionError, "The node refused the stream.");
        }

        protected override bool TryComputeLength(out long length)
        {
            length = -1;
            return false;
        }
    }
}
