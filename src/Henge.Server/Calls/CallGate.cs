using System.Diagnostics;
using System.IO.Pipelines;
using Grpc.Core;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.Grpc;
using Henge.Server.Metrics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace Henge.Server.Calls;

/// <summary>
/// What every gRPC call passes before the library reads a message of it, and after its end: the cluster that it means, its deadline, its
/// compression, bounds on calls and on messages, and how long it took. Thread-safe.
/// </summary>
internal sealed class CallGate(GrpcLimits limits, IHengeNode node, ServerMetrics metrics, CallErrors errors, CancellationToken stopping)
{
    private string _clusterId = "";
    private int _calls;

    /// <summary>The bounds.</summary>
    public GrpcLimits Limits => limits;

    /// <summary>Memory of large messages.</summary>
    public MessageBudget Budget { get; } = new(limits.MessageMemoryBytes);

    /// <summary>What goes wrong, as errors of calls.</summary>
    public CallErrors Errors => errors;

    /// <summary>Where operations are measured.</summary>
    public ServerMetrics Metrics => metrics;

    /// <summary>Timers of waits for requests.</summary>
    public WaitTimers Waits { get; } = new(stopping);

    /// <summary>Fires when the server has waited long enough for calls to end by themselves.</summary>
    public CancellationToken Stopping => stopping;

    /// <summary>The clock of <see cref="CallTerms.DeadlineMs"/>.</summary>
    public long MonotonicMs => node.MonotonicMs;

    // The id of the node's cluster; empty while the node does not know it.
    private string ClusterId => _clusterId.Length > 0 ? _clusterId : _clusterId = node.GetTopology().ClusterId;

    /// <summary>A method's handler behind the gate.</summary>
    /// <param name="method">Its name, as <c>package.Service/Method</c>.</param>
    /// <param name="takesStream">Callers send it a stream.</param>
    /// <param name="handler">The library's handler.</param>
    /// <param name="early">Begins its requests before the library is entered; null: nobody does.</param>
    public RequestDelegate Before(string method, bool takesStream, RequestDelegate handler, IEarlyMethod? early = null)
    {
        DurationRecorder duration = metrics.RpcCalls(method);
        return context => RunAsync(context, takesStream, handler, early, duration);
    }

    /// <summary>Whether a request is a gRPC call, as it says itself.</summary>
    public static bool IsCall(HttpContext context) =>
        context.Request.ContentType?.StartsWith(GrpcHeaders.ContentType, StringComparison.OrdinalIgnoreCase) == true;

    /// <summary>Ends a gRPC call that names nothing that is here; false: the request is no such call.</summary>
    /// <param name="context">A request that no endpoint took.</param>
    /// <param name="services">Names of the services that there are.</param>
    public bool TryAnswerUnknown(HttpContext context, IReadOnlyList<string> services)
    {
        if (!IsCall(context))
        {
            return false;
        }

        string path = context.Request.Path.Value ?? "";
        int slash = path.LastIndexOf('/');
        string service = slash > 1 ? path[1..slash] : "";
        Refuse(context, CallErrors.Create(StatusCode.Unimplemented, services.Contains(service)
            ? $"The service {service} has no method \"{path[(slash + 1)..]}\"."
            : $"There is no service \"{service}\" here. There are: {string.Join(", ", services)}."));
        return true;
    }

    private Task RunAsync(HttpContext context, bool takesStream, RequestDelegate handler, IEarlyMethod? early, DurationRecorder duration)
    {
        if (!TryAccept(context, out CallTerms? terms))
        {
            return Task.CompletedTask;
        }

        if (Interlocked.Increment(ref _calls) > limits.Calls)
        {
            Interlocked.Decrement(ref _calls);
            Refuse(
                context,
                CallErrors.Create(
                    ErrorCode.ResourceExhausted,
                    $"The server has {limits.Calls} calls under way, which is its limit. Try again later."));
            return Task.CompletedTask;
        }

        long started = Stopwatch.GetTimestamp();
        PipeReader body = context.Request.BodyReader;
        IEarlyCall? begun = null;
        MessageGuard? guard = null;
        try
        {
            early = IsPlain(context.Request) ? early : null;

            // The library lets streams take as long as they like, which counts only before the first look at their body.
            if (takesStream || !MessageGuard.TryJudgeWhole(body, limits, early, out begun))
            {
                if (early is not null)
                {
                    return EnterLateAsync(context, terms, body, handler, early, duration, started);
                }

                guard = new MessageGuard(body, terms, context);
                context.Features.Set<IRequestBodyPipeFeature>(guard);
            }
        }
        catch (RpcException e)
        {
            Refuse(context, e);
            Interlocked.Decrement(ref _calls);
            return Task.CompletedTask;
        }

        if (begun is not null)
        {
            return begun.RunAsync(new CallEntry(this, context, terms, handler, duration, started));
        }

        context.Features.Set(terms);
        return EnterAsync(context, terms, guard, handler, duration, started);
    }

    /// <summary>Runs a call in the library. The task ends with the call.</summary>
    internal Task EnterAsync(
        HttpContext context,
        CallTerms terms,
        MessageGuard? guard,
        RequestDelegate handler,
        DurationRecorder duration,
        long started)
    {
        Task task;
        try
        {
            task = handler(context);
        }
        catch (Exception e)
        {
            task = Task.FromException(e);
        }

        if (!task.IsCompletedSuccessfully || terms.ReservedBytes > 0)
        {
            return AwaitAsync(task, context, terms, guard, duration, started);
        }

        terms.End();
        guard?.GiveBack();
        End(context, terms, duration, started);
        return Task.CompletedTask;
    }

    // Most clients send headers, message and end apart: such a request is waited for here, and then begun as one that came at once.
    private async Task EnterLateAsync(
        HttpContext context,
        CallTerms terms,
        PipeReader body,
        RequestDelegate handler,
        IEarlyMethod early,
        DurationRecorder duration,
        long started)
    {
        MessageGuard guard = new(body, terms, context);
        context.Features.Set(terms);
        IEarlyCall? call = null;
        try
        {
            call = await guard.ReadWholeAsync(early);
        }
        catch (RpcException e)
        {
            guard.GiveBack();
            terms.End();
            Refuse(context, e);
            duration.RecordSince(started);
            Interlocked.Decrement(ref _calls);
            return;
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or BadHttpRequestException)
        {
            // The body is broken: the library meets the same, and says so.
            call = null;
        }

        if (call is not null)
        {
            await call.RunAsync(new CallEntry(this, context, terms, handler, duration, started));
            return;
        }

        context.Features.Set<IRequestBodyPipeFeature>(guard);
        await EnterAsync(context, terms, guard, handler, duration, started);
    }

    private async Task AwaitAsync(
        Task task,
        HttpContext context,
        CallTerms terms,
        MessageGuard? guard,
        DurationRecorder duration,
        long started)
    {
        try
        {
            await task;
        }
        finally
        {
            guard?.GiveBack();
            if (terms.ReservedBytes > 0)
            {
                await terms.EndAsync();
            }
            else
            {
                terms.End();
            }

            End(context, terms, duration, started);
        }
    }

    private void End(HttpContext context, CallTerms terms, DurationRecorder duration, long started)
    {
        duration.RecordSince(started);
        Interlocked.Decrement(ref _calls);
        if (terms.IsAnswered)
        {
            return;
        }

        IHeaderDictionary trailers = context.Response.HasStarted
            ? context.Features.GetRequiredFeature<IHttpResponseTrailersFeature>().Trailers
            : context.Response.Headers;
        StringValues status = trailers.GrpcStatus;
        if (status.Count == 1 && status[0] != "0")
        {
            metrics.Failed(CallErrors.CodeOf(status[0]!, trailers[GrpcHeaders.HengeError]));
        }
    }

    /// <summary>Judges the headers of the call; false when it has been answered with an error.</summary>
    private bool TryAccept(HttpContext context, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out CallTerms? terms)
    {
        terms = null;
        IHeaderDictionary headers = context.Request.Headers;
        if (!IsContentType(headers.ContentType))
        {
            // The library takes any encoding of messages for Protocol Buffers.
            context.Response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
            Refuse(context, CallErrors.Create(StatusCode.Internal, "gRPC calls have the content type application/grpc."));
            return false;
        }

        bool packs = false;
        StringValues encoding = headers.GrpcEncoding;
        if (encoding.Count > 0 && !GrpcHeaders.Identity.Equals(encoding[0], StringComparison.Ordinal))
        {
            if (!GrpcHeaders.Gzip.Equals(encoding[0], StringComparison.Ordinal))
            {
                context.Response.Headers.GrpcAcceptEncoding = "identity,gzip";
                Refuse(
                    context,
                    CallErrors.Create(
                        StatusCode.Unimplemented,
                        $"The compression \"{encoding[0]}\" is not known here. Send identity or gzip."));
                return false;
            }

            packs = AcceptsGzip(headers.GrpcAcceptEncoding);
        }

        if (headers.TryGetValue(GrpcHeaders.HengeCluster, out StringValues cluster) && cluster.Count > 0
            && !ClusterId.Equals(cluster[0], StringComparison.Ordinal))
        {
            Refuse(context, WrongCluster(cluster[0]));
            return false;
        }

        long deadlineMs = 0;
        StringValues timeout = headers.GrpcTimeout;
        if (timeout.Count > 0)
        {
            if (!GrpcTimeout.TryParse(timeout[0], out long timeoutMs))
            {
                Refuse(
                    context,
                    CallErrors.Create(
                        StatusCode.InvalidArgument,
                        $"The grpc-timeout \"{timeout[0]}\" is malformed. Write up to eight digits and one of H, M, S, m, u, n."));
                return false;
            }

            // The node ends operations at their deadline, and knows whether a write may still take effect; the library's own timer would
            // answer before it could say so.
            deadlineMs = node.MonotonicMs + timeoutMs;
            headers.GrpcTimeout = default;
        }

        terms = new CallTerms(this, context) { DeadlineMs = deadlineMs, PacksAnswers = packs };
        return true;
    }

    private RpcException WrongCluster(string? meant) =>
        ClusterId.Length == 0
            ? CallErrors.Create(
                ErrorCode.Unavailable,
                "This node does not know its cluster's id yet, and so cannot tell whether the caller means it. Try again.")
            : CallErrors.Create(
                ErrorCode.Misconfigured,
                $"This node is of the cluster {ClusterId}, and the caller means {meant}. Nothing was done. An address of that cluster "
                    + $"leads here: look at what its nodes "
                    + "advertise (--cluster, --advertise), and at the caller's list of nodes.");

    /// <summary>Ends a call with its status in the headers ("Trailers-Only").</summary>
    internal void Refuse(HttpContext context, RpcException error)
    {
        IHeaderDictionary headers = context.Response.Headers;
        headers.ContentType = GrpcHeaders.ContentType;
        headers.GrpcStatus = GrpcErrors.ToTrailer((GrpcStatusCode)(int)error.StatusCode);
        headers.GrpcMessage = Uri.EscapeDataString(error.Status.Detail);
        foreach (Metadata.Entry entry in error.Trailers)
        {
            headers[entry.Key] = entry.Value;
        }

        metrics.Failed(CallErrors.CodeOf(headers.GrpcStatus!, headers[GrpcHeaders.HengeError]));
    }

    // Nothing in the headers makes the library refuse such a request before it has read its message.
    private static bool IsPlain(HttpRequest request) =>
        GrpcHeaders.ContentType.Equals(request.ContentType, StringComparison.Ordinal) && HttpProtocol.IsHttp2(request.Protocol);

    private static bool IsContentType(in StringValues value)
    {
        string? contentType = value;
        if (GrpcHeaders.ContentType.Equals(contentType, StringComparison.Ordinal))
        {
            return true;
        }

        if (contentType is null || !contentType.StartsWith(GrpcHeaders.ContentType, StringComparison.OrdinalIgnoreCase))
        {
            return true; // The library says so.
        }

        ReadOnlySpan<char> rest = contentType.AsSpan(GrpcHeaders.ContentType.Length);
        return rest.IsEmpty || rest[0] != '+'
            || (rest.StartsWith("+proto", StringComparison.OrdinalIgnoreCase) && (rest.Length == 6 || rest[6] == ';'));
    }

    private static bool AcceptsGzip(in StringValues accept)
    {
        foreach (string? value in accept)
        {
            foreach (Range part in value.AsSpan().Split(','))
            {
                if (value.AsSpan(part).Trim().SequenceEqual(GrpcHeaders.Gzip))
                {
                    return true;
                }
            }
        }

        return false;
    }
}
