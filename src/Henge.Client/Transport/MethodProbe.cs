using Grpc.Core;

namespace Henge.Client.Transport;

/// <summary>Asks a generated stub which method it calls; nothing is sent. For one method, and one thread.</summary>
internal sealed class MethodProbe : CallInvoker
{
    private object? _method;

    /// <summary>The method that a stub calls.</summary>
    public static Method<TRequest, TResponse> MethodOf<TRequest, TResponse>(
        Func<CallInvoker, TRequest, CallOptions, AsyncUnaryCall<TResponse>> stub)
        where TRequest : class
        where TResponse : class
    {
        MethodProbe probe = new();
        stub(probe, null!, default);
        return (Method<TRequest, TResponse>)probe._method!;
    }

    /// <inheritdoc/>
    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        _method = method;
        return null!;
    }

    /// <inheritdoc/>
    public override TResponse BlockingUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method,
        string? host,
        CallOptions options,
        TRequest request
    ) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options) => throw new NotSupportedException();
}
