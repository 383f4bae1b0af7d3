using System.Net;
using Henge.Node.Api;
using Henge.Server.Access;
using Microsoft.AspNetCore.Http;

namespace Henge.Server.Operations;

/// <summary>Which way to the node a request of HTTP or gRPC takes.</summary>
internal static class CallerNodes
{
    /// <summary>
    /// The node as whoever makes a request may use it; the node itself while access is not checked and nobody tells who used which keys.
    /// </summary>
    public static IHengeNode For(this IHengeNode node, HttpContext context) =>
        node is GuardedNode guarded && (guarded.IsChecking || guarded.IsAudited)
            ? guarded.For(context.Features.Get<Caller>() ?? new Caller(), DoorOf(context), AddressOf(context))
            : node;

    /// <summary>Writes on an operation who makes its request, as far as anybody asks.</summary>
    public static void Sign(this IHengeNode node, Operation operation, HttpContext context)
    {
        if (node is not GuardedNode guarded)
        {
            return;
        }

        operation.Asker = guarded.IsChecking && context.Features.Get<Caller>() is { } caller ? caller.ToAsker(guarded.View) : default;
        if (guarded.IsAudited)
        {
            operation.Observer = guarded.Audited(DoorOf(context), AddressOf(context));
        }
    }

    private static string DoorOf(HttpContext context) =>
        context.Request.ContentType?.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) == true ? "grpc" : "rest";

    private static IPEndPoint? AddressOf(HttpContext context) =>
        context.Connection.RemoteIpAddress is { } address ? new IPEndPoint(address, context.Connection.RemotePort) : null;
}
