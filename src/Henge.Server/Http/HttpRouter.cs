using System.Diagnostics;
using System.Text;
using Henge.Core;
using Henge.Server.Metrics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Logging;
using BadHttpRequestException = Microsoft.AspNetCore.Http.BadHttpRequestException;

namespace Henge.Server.Http;

/// <summary>Gives requests that are no gRPC calls to the endpoint of their path. Thread-safe.</summary>
internal sealed class HttpRouter(IReadOnlyList<IHttpEndpoint> endpoints, ServerMetrics metrics, ILogger logger)
{
    private static readonly MinDataRate SlowestResponse = new(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(10));

    private readonly IHttpEndpoint[] _endpoints = [.. endpoints];

    public async Task ProcessAsync(IFeatureCollection features)
    {
        // The server's own limit is off for the sake of gRPC streams.
        if (features.Get<IHttpMinResponseDataRateFeature>() is { } rate)
        {
            rate.MinDataRate = SlowestResponse;
        }

        DefaultHttpContext context = new(features);
        string path = "";
        string route = "other";
        long started = Stopwatch.GetTimestamp();
        try
        {
            path = RequestTarget.Of(context).Path;
            foreach (IHttpEndpoint endpoint in _endpoints)
            {
                if (endpoint.Matches(path))
                {
                    route = endpoint.RouteOf(path);
                    await endpoint.HandleAsync(context);
                    return;
                }
            }

            await AnswerAsync(context, StatusCodes.Status404NotFound, "There is nothing at this path.");
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
            logger.LogError(e, "The request {Method} {Path} failed with an unexpected error.", context.Request.Method, path);
            await AnswerAsync(context, StatusCodes.Status500InternalServerError, $"An internal error ({e.GetType().Name}). This is a bug in Henge; the server's log has more.");
        }
        finally
        {
            metrics.HttpRequests(KnownMethod(context.Request.Method), route).RecordSince(started);
        }
    }

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
        _ => StatusCodes.Status500InternalServerError,
    };

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

    private static Task AnswerAsync(HttpContext context, int status, string message)
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
