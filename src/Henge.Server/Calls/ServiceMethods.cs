using Google.Protobuf;
using Grpc.Core;
using Grpc.Core.Interceptors;

namespace Henge.Server.Calls;

/// <summary>
/// Collects the methods of a service as its generated code binds them, under a name that may be another than the generated one, and leaves
/// out those that are served over messages of their own. What handlers throw, and requests that do not parse, end calls in the words of
/// Henge. Used once, by one thread.
/// </summary>
/// <param name="name">The full name of the service.</param>
/// <param name="interceptor">What handlers are behind.</param>
/// <param name="others">Names of the methods that are left out.</param>
internal sealed class ServiceMethods(string name, Interceptor interceptor, params string[] others) : ServiceBinderBase
{
    private readonly ServerServiceDefinition.Builder _builder = ServerServiceDefinition.CreateBuilder();

    /// <summary>What was collected.</summary>
    public ServerServiceDefinition Build() => _builder.Build();

    /// <inheritdoc/>
    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse>? handler)
    {
        if (!others.Contains(method.Name))
        {
            Add(Named(method), handler!);
        }
    }

    /// <inheritdoc/>
    public override void AddMethod<TRequest, TResponse>(
        Method<TRequest, TResponse> method,
        ServerStreamingServerMethod<TRequest, TResponse>? handler)
    {
        if (!others.Contains(method.Name))
        {
            Add(Named(method), handler!);
        }
    }

    /// <inheritdoc/>
    public override void AddMethod<TRequest, TResponse>(
        Method<TRequest, TResponse> method,
        DuplexStreamingServerMethod<TRequest, TResponse>? handler)
    {
        if (!others.Contains(method.Name))
        {
            Add(Named(method), handler!);
        }
    }

    /// <summary>Adds a method behind the interceptor.</summary>
    public void Add<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse> handler)
        where TRequest : class
        where TResponse : class =>
        _builder.AddMethod(method, (request, context) => interceptor.UnaryServerHandler(request, context, handler));

    /// <summary>Adds a method behind the interceptor.</summary>
    public void Add<TRequest, TResponse>(Method<TRequest, TResponse> method, ServerStreamingServerMethod<TRequest, TResponse> handler)
        where TRequest : class
        where TResponse : class =>
        _builder.AddMethod(
            method,
            (request, answers, context) => interceptor.ServerStreamingServerHandler(request, answers, context, handler));

    /// <summary>Adds a method behind the interceptor.</summary>
    public void Add<TRequest, TResponse>(Method<TRequest, TResponse> method, DuplexStreamingServerMethod<TRequest, TResponse> handler)
        where TRequest : class
        where TResponse : class =>
        _builder.AddMethod(
            method,
            (requests, answers, context) => interceptor.DuplexStreamingServerHandler(requests, answers, context, handler));

    /// <summary>Adds a method that answers its errors by itself.</summary>
    public void AddBare<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse> handler)
        where TRequest : class
        where TResponse : class => _builder.AddMethod(method, handler);

    /// <summary>How requests of a generated type are read.</summary>
    public static Marshaller<T> RequestsOf<T>() where T : class, IMessage<T>, new() => new(
        static (_, _) => throw new NotSupportedException(),
        static context =>
        {
            T message = new();
            try
            {
                message.MergeFrom(context.PayloadAsReadOnlySequence());
                return message;
            }
            catch (InvalidProtocolBufferException e)
            {
                throw CallErrors.MalformedMessage(message.Descriptor.FullName, e);
            }
        });

    private Method<TRequest, TResponse> Named<TRequest, TResponse>(Method<TRequest, TResponse> method)
        where TRequest : class
        where TResponse : class
    {
        Func<DeserializationContext, TRequest> read = method.RequestMarshaller.ContextualDeserializer;

        // Requests are in their service's package. None is made to ask it: that would need reflection.
        string message = method.ServiceName[..(method.ServiceName.LastIndexOf('.') + 1)] + typeof(TRequest).Name;
        Marshaller<TRequest> requests = new(
            method.RequestMarshaller.ContextualSerializer,
            context =>
            {
                try
                {
                    return read(context);
                }
                catch (InvalidProtocolBufferException e)
                {
                    throw CallErrors.MalformedMessage(message, e);
                }
            });
        return new Method<TRequest, TResponse>(method.Type, name, method.Name, requests, method.ResponseMarshaller);
    }
}
