using System.Text;
using Henge.Server.Http;
using Microsoft.AspNetCore.Http;

namespace Henge.Server.Metrics;

/// <summary><c>/metrics</c>, for Prometheus and whatever else reads its text format.</summary>
internal sealed class MetricsEndpoint(PrometheusExporter exporter) : IHttpEndpoint
{
    public bool Matches(string path) => path == "/metrics";

    public string RouteOf(string path) => path;

    public async Task HandleAsync(HttpContext context)
    {
        if (!HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method))
        {
            context.Response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            context.Response.Headers.Allow = "GET, HEAD";
            return;
        }

        byte[] body = Encoding.UTF8.GetBytes(exporter.Collect());
        context.Response.ContentType = PrometheusExporter.ContentType;
        context.Response.Headers.CacheControl = "no-store";
        context.Response.ContentLength = body.Length;
        if (HttpMethods.IsGet(context.Request.Method))
        {
            await context.Response.Body.WriteAsync(body);
        }
    }
}
