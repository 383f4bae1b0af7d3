using Henge.Node.Api;
using Henge.Server.Access;
using Microsoft.AspNetCore.Http;

namespace Henge.Server.Operations;

/// <summary>Which way to the node a request of HTTP or gRPC takes.</summary>
internal static class CallerNodes
{
    /// <summary>The node as whoever makes a request may use it; the node itself while access is not checked.</summary>
    public static IHengeNode For(this IHengeNode node, HttpContext context) =>
        node is GuardedNode { IsChecking: true } guarded ? guarded.For(context.Features.Get<Caller>() ?? new Caller()) : node;

    /// <summary>The user who makes a request; null: nobody, or access is not checked.</summary>
    public static string? UserOf(this IHengeNode node, HttpContext context) =>
        node is GuardedNode { IsChecking: true } guarded ? context.Features.Get<Caller>()?.UserIn(guarded.View) : null;
}
