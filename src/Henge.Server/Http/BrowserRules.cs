using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Henge.Server.Http;

/// <summary>
/// Keeps pages of other sites from driving a node through the browser of somebody who reaches it: no page but one of the node's own gets an
/// answer (RFC 6454), and on loopback no name but this machine's leads here, so that a site whose name suddenly means 127.0.0.1 ("DNS
/// rebinding") is another site still. Programs send no Origin, and are not concerned.
/// </summary>
internal static class BrowserRules
{
    /// <summary>Why a request is refused; null: it is not.</summary>
    public static string? Refuse(HttpContext context)
    {
        StringValues origin = context.Request.Headers.Origin;
        HostString host = context.Request.Host;
        if (origin.Count > 0 && (origin.Count > 1 || !IsSame(origin[0], host)))
        {
            return "A page of another site asks for this. Nothing was done.";
        }

        return host.HasValue && context.Connection.LocalIpAddress is { } local && IPAddress.IsLoopback(local) && !IsThisMachine(host.Host)
            ? $"This node listens on this machine alone, and is not known here as {Shown(host.Host)}. Nothing was done. Call it localhost, or "
                + "by its address."
            : null;
    }

    private static bool IsSame(string? origin, HostString host) =>
        Uri.TryCreate(origin, UriKind.Absolute, out Uri? page)
        && host.HasValue
        && string.Equals(page.Host.Trim('[', ']'), host.Host.Trim('[', ']'), StringComparison.OrdinalIgnoreCase)
        && page.Port == (host.Port ?? (page.Scheme == Uri.UriSchemeHttps ? 443 : 80));

    private static bool IsThisMachine(string host) =>
        IPAddress.TryParse(host.Trim('[', ']'), out _)
        || host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase)
        || host.Equals(Environment.MachineName, StringComparison.OrdinalIgnoreCase);

    private static string Shown(string host) => host.Length > 100 ? host[..100] + "…" : host;
}
