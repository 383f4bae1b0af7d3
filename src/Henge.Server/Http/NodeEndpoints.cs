using System.Text;
using Henge.Server.Metrics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Henge.Server.Http;

/// <summary>
/// <c>/healthz</c>: the process lives. <c>/readyz</c>: it serves. <c>/metrics</c>: for Prometheus and whatever else reads its text format.
/// </summary>
internal static class NodeEndpoints
{
    private static readonly string[] Reading = ["GET", "HEAD"];

    public static void Map(IEndpointRouteBuilder routes, PrometheusExporter exporter)
    {
        routes.MapHealthChecks("/healthz", Options(static _ => false)).WithMetadata(new HttpMethodMetadata(Reading)).WithSummary("Whether the process lives.");
        routes.MapHealthChecks("/readyz", Options(static _ => true)).WithMetadata(new HttpMethodMetadata(Reading)).WithSummary("Whether the node serves, and why not.");
        routes.MapMethods("/metrics", Reading, context => TextAsync(context, PrometheusExporter.ContentType, exporter.Collect()))
            .WithSummary("Metrics in Prometheus' text format.");
    }

    private static HealthCheckOptions Options(Func<HealthCheckRegistration, bool> which) => new()
    {
        Predicate = which,
        ResponseWriter = static (context, report) => TextAsync(
            context, "text/plain; charset=utf-8", (report.Status == HealthStatus.Healthy ? "ok" : report.Entries.Values.First().Description) + "\n"),
    };

    private static async Task TextAsync(HttpContext context, string contentType, string text)
    {
        byte[] body = Encoding.UTF8.GetBytes(text);
        context.Response.ContentType = contentType;
        context.Response.Headers.CacheControl = "no-store";
        context.Response.ContentLength = body.Length;
        if (HttpMethods.IsGet(context.Request.Method))
        {
            await context.Response.Body.WriteAsync(body);
        }
    }
}
