using Google.Protobuf;

namespace Henge.Client.Grpc;

/// <summary>The answers of one server-streaming call. One reader at a time; dispose of it to end the call.</summary>
internal sealed class GrpcServerStream<TResponse>(
    GrpcMethod<TResponse> method,
    string address,
    HttpRequestMessage request,
    HttpResponseMessage response,
    GrpcMessageReader reader,
    CancellationTokenSource stop) : IDisposable
    where TResponse : class, IMessage<TResponse>
{
    /// <summary>
    /// The next answer; null when the call ended well. Throws <see cref="AttemptFailedException"/> when it ended otherwise, and
    /// <see cref="OperationCanceledException"/> when <paramref name="cancellationToken"/> was cancelled.
    /// </summary>
    public async ValueTask<TResponse?> ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (await reader.ReadAsync(cancellationToken).ConfigureAwait(false) is { } message)
            {
                return GrpcTransport.Parse(method, message, address);
            }

            GrpcStatusReader.CheckTrailers(response, address);
            return null;
        }
        catch (Exception e) when (GrpcFailure.IsTransport(e))
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw GrpcFailure.From(e, address);
        }
    }

    /// <summary>Ends the call; the node is told.</summary>
    public void Dispose()
    {
        stop.Cancel();
        response.Dispose();
        request.Dispose();
        reader.Dispose();
        stop.Dispose();
    }
}
