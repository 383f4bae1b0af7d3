using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace Henge.Server.Grpc;

/// <summary>One method of a service. Called once for each call, with the headers accepted; must not throw before its first await on hot paths.</summary>
internal abstract class GrpcMethod
{
    /// <summary>Serves a call to its end, status included.</summary>
    public abstract Task InvokeAsync(ServerCall call);
}

/// <summary>One request, one answer.</summary>
internal sealed class UnaryMethod<TRequest, TResponse>(Func<TRequest, ServerCall, ValueTask<TResponse>> handler) : GrpcMethod
    where TRequest : class, IMessage<TRequest>, new()
    where TResponse : class, IMessage<TResponse>
{
    public override async Task InvokeAsync(ServerCall call)
    {
        try
        {
            TRequest request = await MessageReader.ReadSingleAsync<TRequest>(call);
            call.Write(await handler(request, call));
            call.Succeed();
        }
        catch (Exception e)
        {
            call.Fail(e);
        }
    }
}

/// <summary>One request, a stream of answers.</summary>
internal sealed class ServerStreamingMethod<TRequest, TResponse>(Func<TRequest, MessageWriter<TResponse>, ServerCall, Task> handler) : GrpcMethod
    where TRequest : class, IMessage<TRequest>, new()
    where TResponse : class, IMessage<TResponse>
{
    public override async Task InvokeAsync(ServerCall call)
    {
        try
        {
            TRequest request = await MessageReader.ReadSingleAsync<TRequest>(call);
            await handler(request, new MessageWriter<TResponse>(call), call);
            call.Succeed();
        }
        catch (Exception e)
        {
            call.Fail(e);
        }
    }
}

/// <summary>A stream of requests, one answer.</summary>
internal sealed class ClientStreamingMethod<TRequest, TResponse>(Func<MessageReader<TRequest>, ServerCall, Task<TResponse>> handler) : GrpcMethod
    where TRequest : class, IMessage<TRequest>, new()
    where TResponse : class, IMessage<TResponse>
{
    public override async Task InvokeAsync(ServerCall call)
    {
        try
        {
            call.AllowSlowRequest();
            call.Write(await handler(new MessageReader<TRequest>(call), call));
            call.Succeed();
        }
        catch (Exception e)
        {
            call.Fail(e);
        }
    }
}

/// <summary>Streams both ways.</summary>
internal sealed class DuplexMethod<TRequest, TResponse>(Func<MessageReader<TRequest>, MessageWriter<TResponse>, ServerCall, Task> handler) : GrpcMethod
    where TRequest : class, IMessage<TRequest>, new()
    where TResponse : class, IMessage<TResponse>
{
    public override async Task InvokeAsync(ServerCall call)
    {
        try
        {
            call.AllowSlowRequest();
            await call.SendHeadersAsync();
            await handler(new MessageReader<TRequest>(call), new MessageWriter<TResponse>(call), call);
            call.Succeed();
        }
        catch (Exception e)
        {
            call.Fail(e);
        }
    }
}

/// <summary>A service as reflection shows it, with what serves its methods.</summary>
internal sealed record GrpcService(string Name, ServiceDescriptor Descriptor, IReadOnlyDictionary<string, GrpcMethod> Methods);
