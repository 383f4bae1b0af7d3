using Grpc.Core;
using Grpc.Core.Interceptors;

namespace Henge.Interop;

/// <summary>Sends the calls of a generated stub to a service of another name, with the same messages.</summary>
internal sealed class OtherPath(string service) : Interceptor
{
    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        TRequest request,
        ClientInterceptorContext<TRequest, TResponse> context,
        AsyncUnaryCallContinuation<TRequest, TResponse> continuation
    ) => continuation(request, Renamed(context));

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        TRequest request,
        ClientInterceptorContext<TRequest, TResponse> context,
        AsyncServerStreamingCallContinuation<TRequest, TResponse> continuation
    ) => continuation(request, Renamed(context));

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        ClientInterceptorContext<TRequest, TResponse> context,
        AsyncDuplexStreamingCallContinuation<TRequest, TResponse> continuation
    ) => continuation(Renamed(context));

    private ClientInterceptorContext<TRequest, TResponse> Renamed<TRequest, TResponse>(
        ClientInterceptorContext<TRequest, TResponse> context)
        where TRequest : class
        where TResponse : class
    {
        Method<TRequest, TResponse> method = context.Method;
        return new(
            new Method<TRequest, TResponse>(method.Type, service, method.Name, method.RequestMarshaller, method.ResponseMarshaller),
            context.Host,
            context.Options);
    }
}
