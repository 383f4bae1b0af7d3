using Microsoft.AspNetCore.Http;

namespace Henge.Server.Http;

/// <summary>Serves paths over HTTP/1.1 and, where the caller is no gRPC client, over HTTP/2. Thread-safe.</summary>
public interface IHttpEndpoint
{
    /// <summary>
    /// True when the path, decoded and without segments of dots, is this endpoint's; it begins with a slash. Called for each request: quick.
    /// </summary>
    bool Matches(string path);

    /// <summary>The route of a path that matches, with names in braces where paths of one route differ: metrics are by route, and there must not be many.</summary>
    string RouteOf(string path);

    /// <summary>
    /// Answers a request. The body is not bounded by the host: read it with a limit. Exceptions become a 500 with their type only, a
    /// <see cref="Henge.Core.HengeException"/> the status that fits its code.
    /// </summary>
    Task HandleAsync(HttpContext context);
}
