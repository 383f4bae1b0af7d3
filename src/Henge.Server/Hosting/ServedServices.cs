using Google.Protobuf.Reflection;
using Grpc.Health.V1;
using Henge.Protocol.Ancestor;
using Henge.Protocol.V1;
using V1 = Grpc.Reflection.V1;
using V1Alpha = Grpc.Reflection.V1Alpha;

namespace Henge.Server.Hosting;

/// <summary>The gRPC services of a node, as reflection and health know them. Immutable.</summary>
internal static class ServedServices
{
    /// <summary>Their descriptors, in the order of their names.</summary>
    public static IReadOnlyList<ServiceDescriptor> Descriptors { get; } =
    [
        HealthReflection.Descriptor.Services[0],
        V1.ReflectionReflection.Descriptor.Services[0],
        V1Alpha.ReflectionReflection.Descriptor.Services[0],
        AccessReflection.Descriptor.Services[0],
        ClusterReflection.Descriptor.Services[0],
        KvReflection.Descriptor.Services[0],
        KvstoreReflection.Descriptor.Services[0],
    ];

    /// <summary>Their names.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Descriptors.Select(static d => d.FullName)];

    /// <summary>True when callers send a stream to a method, <c>package.Service/Method</c>.</summary>
    public static bool TakesStream(string method) =>
        Descriptors.Any(service => service.Methods.Any(m => m.IsClientStreaming && method == $"{service.FullName}/{m.Name}"));
}
