using Henge.Node.Api;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Henge.Server.Rest;

/// <summary>Maps the endpoints of the REST API.</summary>
internal static class RestEndpoints
{
    public static void Map(IEndpointRouteBuilder routes, IHengeNode node)
    {
        KvEndpoint kv = new(node);
        WatchEndpoint watch = new(node);
        routes.Map("/v1/kv", kv.HandleAsync);
        routes.Map("/v1/kv/{**key}", kv.HandleAsync);
        routes.Map("/v1/watch", watch.HandleAsync);
    }
}
