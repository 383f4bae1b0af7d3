using Google.Protobuf;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Core.Interceptors;

namespace Henge.Server.Calls;

/// <summary>
/// Ends calls with what their handlers throw, in the words and codes of Henge, and packs long answers for callers that pack. Thread-safe.
/// </summary>
internal sealed class ErrorInterceptor(CallErrors errors) : Interceptor
{
    /// <inheritdoc/>
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            TResponse response = await continuation(request, context);
            if (CallTerms.Of(context) is { PacksAnswers: true } terms && terms.Packs(SizeOf(response)))
            {
                await terms.SendHeadersAsync(context);
            }

            return response;
        }
        catch (Exception e)
        {
            throw errors.Of(e, context.GetHttpContext());
        }
    }

    /// <inheritdoc/>
    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request,
        IServerStreamWriter<TResponse> responseStream,
        ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await continuation(request, responseStream, context);
        }
        catch (Exception e)
        {
            throw errors.Of(e, context.GetHttpContext());
        }
    }

    /// <inheritdoc/>
    public override async Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await continuation(requestStream, responseStream, context);
        }
        catch (Exception e)
        {
            throw errors.Of(e, context.GetHttpContext());
        }
    }

    private static int SizeOf(object response) => response switch
    {
        IMessage message => message.CalculateSize(),
        EncodedMessage encoded => encoded.Bytes.Length,
        _ => 0,
    };
}
