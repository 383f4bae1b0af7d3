using System.Collections.Concurrent;
using Grpc.Core;

namespace Henge.Client.Transport;

/// <summary>
/// One unary attempt: an invoker for a generated stub that takes note of when the message is about to leave. Grpc.Net.Client serializes a
/// message when there is a connection and the headers have gone out on it; until then no node can have done anything. An
/// <see cref="RpcException"/> alone does not say it: a call that was given up while its connection was being made looks like one that was
/// given up while the node worked on it.
/// </summary>
internal sealed class Attempt(CallInvoker inner) : CallInvoker
{
    private int _isLeaving;

    /// <summary>True once the message may have left.</summary>
    public bool IsLeaving => Volatile.Read(ref _isLeaving) != 0;

    /// <inheritdoc/>
    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
        inner.AsyncUnaryCall(NotedMethods<TRequest, TResponse>.Of(method), host, options, new Noted<TRequest>(this, request));

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

    /// <summary>A request and the attempt that it belongs to.</summary>
    private sealed class Noted<TRequest>(Attempt attempt, TRequest request)
    {
        public TRequest Leave()
        {
            Volatile.Write(ref attempt._isLeaving, 1);
            return request;
        }
    }

    /// <summary>
    /// The generated methods with a serializer that takes the note; one for each method, as the channel keeps what it knows of a method for
    /// as long as it lives.
    /// </summary>
    private static class NotedMethods<TRequest, TResponse>
        where TRequest : class
        where TResponse : class
    {
        private static readonly ConcurrentDictionary<Method<TRequest, TResponse>, Method<Noted<TRequest>, TResponse>> Known = new();

        public static Method<Noted<TRequest>, TResponse> Of(Method<TRequest, TResponse> method) =>
            Known.TryGetValue(method, out Method<Noted<TRequest>, TResponse>? known) ? known : Known.GetOrAdd(method, Note(method));

        private static Method<Noted<TRequest>, TResponse> Note(Method<TRequest, TResponse> method)
        {
            Action<TRequest, SerializationContext> serializer = method.RequestMarshaller.ContextualSerializer;
            Marshaller<Noted<TRequest>> marshaller = new(
                (noted, context) => serializer(noted.Leave(), context),
                static _ => throw new NotSupportedException());
            return new Method<Noted<TRequest>, TResponse>(
                method.Type,
                method.ServiceName,
                method.Name,
                marshaller,
                method.ResponseMarshaller);
        }
    }
}
