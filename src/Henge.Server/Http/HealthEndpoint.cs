using System.Text;
using Henge.Server.Health;
using Microsoft.AspNetCore.Http;

namespace Henge.Server.Http;

/// <summary><c>/healthz</c>: the process lives. <c>/readyz</c>: it serves. For orchestrators and load balancers.</summary>
internal sealed class HealthEndpoint(HealthState health) : IHttpEndpoint
{
    public bool Matches(string path) => path is "/healthz" or "/readyz";

    public string RouteOf(string path) => path;

    public async Task HandleAsync(HttpContext context)
    {
        if (!HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method))
        {
            context.Response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            context.Response.Headers.Allow = "GET, HEAD";
            return;
        }

        string? problem = RequestTarget.Of(context).Path == "/readyz" ? health.Problem : null;
        context.Response.StatusCode = problem is null ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        context.Response.ContentType = "text/plain; charset=utf-8";
        context.Response.Headers.CacheControl = "no-store";
        byte[] body = Encoding.UTF8.GetBytes((problem ?? "ok") + "\n");
        context.Response.ContentLength = body.Length;
        if (HttpMethods.IsGet(context.Request.Method))
        {
            await context.Response.Body.WriteAsync(body);
        }
    }
}
