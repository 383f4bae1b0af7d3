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
/// <c>/openapi/v1.json</c>: what HTTP paths there are.
/// </summary>
internal static class NodeEndpoints
{
    private const string Text = "text/plain";
    private const string Tag = "Node";
    /// <summary>What <c>/readyz</c> says of a node that listens openly.</summary>
    public const string Insecure = "insecure: started with --insecure, so that whoever reaches this port can read and write everything\n";

    private static readonly string[] Reading = ["GET", "HEAD"];

    /// <summary>Maps them.</summary>
    /// <param name="routes">Where to.</param>
    /// <param name="exporter">Has the metrics.</param>
    /// <param name="notices">Lines for <c>/readyz</c> beside whether the node serves; empty: none.</param>
    public static void Map(IEndpointRouteBuilder routes, PrometheusExporter exporter, Func<string> notices)
    {
        ApiDescription.Of(
            routes.MapHealthChecks("/healthz", Options(static _ => false, static () => "")).WithMetadata(new HttpMethodMetadata(Reading)),
            Tag,
            "Whether the process lives.",
            static d => d.Answer(200, "It does.", Text));
        ApiDescription.Of(
            routes.MapHealthChecks("/readyz", Options(static _ => true, notices))
                .WithMetadata(new HttpMethodMetadata(Reading)),
            Tag,
            "Whether the node serves.",
            static d => d.Answer(200, "It does.", Text).Answer(503, "It does not, and why.", Text));
        ApiDescription.Of(
            routes.MapMethods("/metrics", Reading, context => TextAsync(context, PrometheusExporter.ContentType, exporter.Collect())),
            Tag,
            "Metrics in Prometheus' text format.",
            static d => d.Answer(200, "The metrics.", Text));
        routes.MapOpenApi();
    }

    private static HealthCheckOptions Options(Func<HealthCheckRegistration, bool> which, Func<string> notices) =>
        new()
        {
            Predicate = which,
            AllowCachingResponses = true, // The writer says that there is none, in one word.
            ResponseWriter = (context, report) =>
                TextAsync(
                    context,
                    "text/plain; charset=utf-8",
                    (report.Status == HealthStatus.Healthy ? "ok" : report.Entries.Values.First().Description) + "\n" + notices()),
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
