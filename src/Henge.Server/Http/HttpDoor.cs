using System.Diagnostics;
using System.Text;
using Henge.Core;
using Henge.Server.Events;
using Henge.Server.Metrics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Logging;
using BadHttpRequestException = Microsoft.AspNetCore.Http.BadHttpRequestException;

namespace Henge.Server.Http;

/// <summary>
/// What every HTTP request that is no gRPC call passes: how long it took, how slow its caller may be, and errors in words. Thread-safe.
/// </summary>
internal sealed class HttpDoor(ServerMetrics metrics, ILogger logger)
{
    private static readonly MinDataRate SlowestResponse = new(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(10));

    /// <summary>Puts the endpoints of a group behind the door. Their route is what metrics tell them apart by.</summary>
    public void PutBefore(IEndpointConventionBuilder endpoints) =>
        endpoints.Finally(endpoint =>
            endpoint.RequestDelegate = Before(
                endpoint.RequestDelegate!,
                ((RouteEndpointBuilder)endpoint).RoutePattern.RawText!.Replace("{**", "{", StringComparison.Ordinal)));

    /// <summary>A handler behind the door.</summary>
    public RequestDelegate Before(RequestDelegate handler, string route) => context => RunAsync(context, handler, route);

    /// <summary>The answer at a path where there is nothing.</summary>
    public static Task NotFoundAsync(HttpContext context) =>
        AnswerAsync(context, StatusCodes.Status404NotFound, "There is nothing at this path.");

    /// <summary>The HTTP status that says an error.</summary>
    public static int ToHttpStatus(ErrorCode code) => code switch
    {
        ErrorCode.InvalidArgument or ErrorCode.CrossShard => StatusCodes.Status400BadRequest,
        ErrorCode.TooLarge => StatusCodes.Status413PayloadTooLarge,
        ErrorCode.HistoryGone => StatusCodes.Status410Gone,
        ErrorCode.NotLeader => StatusCodes.Status421MisdirectedRequest,
        ErrorCode.Unavailable or ErrorCode.Stopping => StatusCodes.Status503ServiceUnavailable,
        ErrorCode.DeadlineExceeded => StatusCodes.Status504GatewayTimeout,
        ErrorCode.ResourceExhausted => StatusCodes.Status429TooManyRequests,
        ErrorCode.DiskFull => StatusCodes.Status507InsufficientStorage,
        ErrorCode.WrongType or ErrorCode.SessionExpired => StatusCodes.Status409Conflict,
        ErrorCode.Cancelled => StatusCodes.Status499ClientClosedRequest,
        ErrorCode.Unauthenticated => StatusCodes.Status401Unauthorized,
        ErrorCode.PermissionDenied => StatusCodes.Status403Forbidden,
        _ => StatusCodes.Status500InternalServerError,
    };

    private async Task RunAsync(HttpContext context, RequestDelegate handler, string route)
    {
        // The server's own limit is off for the sake of gRPC streams.
        if (context.Features.Get<IHttpMinResponseDataRateFeature>() is { } rate)
        {
            rate.MinDataRate = SlowestResponse;
        }

        long started = Stopwatch.GetTimestamp();
        try
        {
            if (IsOfTwoLengths(context.Request))
            {
                throw new HengeException(
                    ErrorCode.InvalidArgument, "The request has both Content-Length and Transfer-Encoding: where it ends is not clear.");
            }

            if (BrowserRules.Refuse(context) is { } refusal)
            {
                throw new HengeException(ErrorCode.PermissionDenied, refusal);
            }

            await handler(context);
        }
        catch (HengeException e)
        {
            metrics.Failed(e.Code);
            await AnswerAsync(context, ToHttpStatus(e.Code), e.Message);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or BadHttpRequestException)
        {
            await AnswerAsync(context, (e as BadHttpRequestException)?.StatusCode ?? StatusCodes.Status400BadRequest, e.Message);
        }
        catch (Exception e)
        {
            metrics.Failed(ErrorCode.Internal);
            ServerEvents.Http.RequestFailed(logger, e, context.Request.Method, context.Request.Path);
            await AnswerAsync(
                context,
                StatusCodes.Status500InternalServerError,
                $"An internal error ({e.GetType().Name}). This is a bug in Henge; the server's log has more.");
        }
        finally
        {
            metrics.HttpRequests(KnownMethod(context.Request.Method), route).RecordSince(started);
        }
    }

    // RFC 9112, section 6.1: such a request may be one that somebody before this server has read otherwise. Kestrel goes by the encoding,
    // puts the length aside under another name, and closes the connection after the answer.
    private static bool IsOfTwoLengths(HttpRequest request) =>
        request.Headers.TransferEncoding.Count > 0 && request.Headers.ContainsKey("X-Content-Length");

    // Anybody can send any word as a method; each would be a series of its own.
    private static string KnownMethod(string method) => HttpMethods.GetCanonicalizedValue(method) switch
    {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "PUT" => "PUT",
        "POST" => "POST",
        "DELETE" => "DELETE",
        _ => "_OTHER",
    };

    /// <summary>Answers a request with an error in words, if it was not answered yet.</summary>
    internal static Task AnswerAsync(HttpContext context, int status, string message)
    {
        if (context.Response.HasStarted)
        {
            context.Abort();
            return Task.CompletedTask;
        }

        byte[] body = Encoding.UTF8.GetBytes(message + "\n");
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/plain; charset=utf-8";
        context.Response.ContentLength = body.Length;
        return context.Response.Body.WriteAsync(body).AsTask();
    }
}
