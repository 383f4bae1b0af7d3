using Henge.Protocol.Grpc;
using Henge.Protocol.HealthV1;
using Henge.Server.Grpc;

namespace Henge.Server.Health;

/// <summary><c>grpc.health.v1.Health</c> (gRPC core, doc/health-checking.md): one state for the server and all its services.</summary>
internal sealed class HealthService(HealthState state, Func<IEnumerable<string>> services)
{
    public const string Name = "grpc.health.v1.Health";

    public GrpcService Create() => new(Name, HealthReflection.Descriptor.Services[0], new Dictionary<string, GrpcMethod>
    {
        ["Check"] = new UnaryMethod<HealthCheckRequest, HealthCheckResponse>(CheckAsync),
        ["Watch"] = new ServerStreamingMethod<HealthCheckRequest, HealthCheckResponse>(WatchAsync),
    });

    private ValueTask<HealthCheckResponse> CheckAsync(HealthCheckRequest request, ServerCall call) => IsKnown(request.Service)
        ? ValueTask.FromResult(new HealthCheckResponse { Status = Current })
        : throw new GrpcException(GrpcStatusCode.NotFound, $"There is no service \"{request.Service}\" here.");

    private async Task WatchAsync(HealthCheckRequest request, MessageWriter<HealthCheckResponse> responses, ServerCall call)
    {
        bool known = IsKnown(request.Service);
        while (true)
        {
            Task changed = state.Changed;
            await responses.WriteAsync(new HealthCheckResponse
            {
                Status = known ? Current : HealthCheckResponse.Types.ServingStatus.ServiceUnknown,
            });
            await changed.WaitAsync(call.Cancellation);
        }
    }

    private HealthCheckResponse.Types.ServingStatus Current => state.Problem is null
        ? HealthCheckResponse.Types.ServingStatus.Serving
        : HealthCheckResponse.Types.ServingStatus.NotServing;

    private bool IsKnown(string service) => service.Length == 0 || services().Contains(service, StringComparer.Ordinal);
}
