using Henge.Server.Grpc;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Abstractions;
using Microsoft.AspNetCore.Http.Features;

namespace Henge.Server.Http;

/// <summary>
/// What Kestrel calls for each request: directly, without a middleware pipeline, logging scopes or an activity for each request
/// (docs/decisions/0051-no-middleware-pipeline.md).
/// </summary>
internal sealed class HengeApplication(GrpcServer grpc, HttpRouter http) : IHttpApplication<ServerCall>
{
    public ServerCall CreateContext(IFeatureCollection contextFeatures)
    {
        ServerCall call = contextFeatures is IHostContextContainer<ServerCall> container ? container.HostContext ??= new ServerCall() : new ServerCall();
        call.Begin(grpc, contextFeatures);
        return call;
    }

    public Task ProcessRequestAsync(ServerCall context) =>
        grpc.IsGrpc(context.Features.GetRequiredFeature<IHttpRequestFeature>()) ? grpc.ProcessAsync(context) : http.ProcessAsync(context.Features);

    public void DisposeContext(ServerCall context, Exception? exception) => context.End();
}
