using System.Diagnostics;
using Google.Protobuf.Reflection;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.Grpc;
using Henge.Server.Metrics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;

namespace Henge.Server.Grpc;

/// <summary>
/// Speaks gRPC over Kestrel's HTTP/2, without ASP.NET's pipeline in between: a call is a dictionary lookup away from its method. Thread-safe.
/// </summary>
internal sealed class GrpcServer
{
    /// <summary>Answers from here on are packed for callers that pack their requests.</summary>
    public const int GzipFromBytes = 1024;

    private readonly Dictionary<string, (GrpcMethod Method, DurationRecorder Duration)> _methods = new(StringComparer.Ordinal);
    private readonly HashSet<string> _services = new(StringComparer.Ordinal);
    private readonly IHengeNode _node;
    private readonly ServerMetrics _metrics;
    private readonly ILogger _logger;
    private string _clusterId = "";
    private int _calls;

    public GrpcServer(
        GrpcLimits limits, IEnumerable<GrpcService> services, IHengeNode node, ServerMetrics metrics, ILogger logger, CancellationToken stopping)
    {
        Limits = limits;
        Budget = new MessageBudget(limits.MessageMemoryBytes);
        Stopping = stopping;
        _node = node;
        _metrics = metrics;
        _logger = logger;
        foreach (GrpcService service in services)
        {
            _services.Add(service.Name);
            foreach (MethodDescriptor method in service.Descriptor.Methods)
            {
                _methods.Add($"/{service.Name}/{method.Name}", (service.Methods[method.Name], metrics.RpcCalls($"{service.Name}/{method.Name}")));
            }
        }
    }

    public GrpcLimits Limits { get; }

    /// <summary>Where calls are measured.</summary>
    public ServerMetrics Metrics => _metrics;

    /// <summary>Memory of large messages.</summary>
    public MessageBudget Budget { get; }

    /// <summary>Fires when the server has waited long enough for calls to end by themselves.</summary>
    public CancellationToken Stopping { get; }

    /// <summary>The clock of <see cref="ServerCall.DeadlineMs"/>.</summary>
    public long MonotonicMs => _node.MonotonicMs;

    /// <summary>The id of the node's cluster; empty while the node does not know it.</summary>
    public string ClusterId => _clusterId.Length > 0 ? _clusterId : _clusterId = _node.GetTopology().ClusterId;

    /// <summary>Calls under way.</summary>
    public int Calls => Volatile.Read(ref _calls);

    /// <summary>True when the request is for gRPC, whether or not it is a good one.</summary>
    public bool IsGrpc(IHttpRequestFeature request)
    {
        string? contentType = request.Headers.ContentType;
        return (contentType is not null && contentType.StartsWith(GrpcHeaders.ContentType, StringComparison.OrdinalIgnoreCase)) || _methods.ContainsKey(request.Path);
    }

    /// <summary>Serves a call.</summary>
    public Task ProcessAsync(ServerCall call)
    {
        IHttpRequestFeature request = call.Features.GetRequiredFeature<IHttpRequestFeature>();
        if (!IsContentType(request.Headers.ContentType))
        {
            return RejectAsync(call, StatusCodes.Status415UnsupportedMediaType, "gRPC calls have the content type application/grpc.");
        }

        if (!HttpMethods.IsPost(request.Method))
        {
            call.ResponseHeaders.Allow = HttpMethods.Post;
            return RejectAsync(call, StatusCodes.Status405MethodNotAllowed, "gRPC calls are POST requests.");
        }

        if (request.Protocol != HttpProtocol.Http2)
        {
            return RejectAsync(call, StatusCodes.Status426UpgradeRequired, "gRPC needs HTTP/2.");
        }

        if (!call.TryAccept())
        {
            return Task.CompletedTask;
        }

        if (!_methods.TryGetValue(request.Path, out (GrpcMethod Method, DurationRecorder Duration) route))
        {
            call.Fail(GrpcStatusCode.Unimplemented, Unknown(request.Path));
            return Task.CompletedTask;
        }

        if (Interlocked.Increment(ref _calls) > Limits.Calls)
        {
            Interlocked.Decrement(ref _calls);
            call.Fail(ErrorCode.ResourceExhausted, $"The server has {Limits.Calls} calls under way, which is its limit. Try again later.");
            return Task.CompletedTask;
        }

        long started = Stopwatch.GetTimestamp();
        Task task = route.Method.InvokeAsync(call);
        if (task.IsCompletedSuccessfully)
        {
            route.Duration.RecordSince(started);
            Interlocked.Decrement(ref _calls);
            return Task.CompletedTask;
        }

        return AwaitAsync(task, route.Duration, started);
    }

    public void ReportFailure(ServerCall call, Exception exception)
    {
        _logger.LogError(exception, "The call {Path} failed with an unexpected error.", call.Path);
    }

    private async Task AwaitAsync(Task task, DurationRecorder duration, long started)
    {
        try
        {
            await task;
        }
        finally
        {
            duration.RecordSince(started);
            Interlocked.Decrement(ref _calls);
        }
    }

    private static bool IsContentType(in StringValues value)
    {
        string? contentType = value;
        if (contentType is null || !contentType.StartsWith(GrpcHeaders.ContentType, StringComparison.OrdinalIgnoreCase))
        {
            return false;
        }

        ReadOnlySpan<char> rest = contentType.AsSpan(GrpcHeaders.ContentType.Length);
        return rest.IsEmpty || rest[0] == ';' ||
            (rest.StartsWith("+proto", StringComparison.OrdinalIgnoreCase) && (rest.Length == 6 || rest[6] == ';'));
    }

    private static Task RejectAsync(ServerCall call, int httpStatus, string message)
    {
        // The status is there twice, so that a gRPC client that sees the HTTP error has words for it.
        call.Features.GetRequiredFeature<IHttpResponseFeature>().StatusCode = httpStatus;
        call.ResponseHeaders.GrpcStatus = GrpcErrors.ToTrailer(GrpcStatusCode.Internal);
        call.ResponseHeaders.GrpcMessage = GrpcPercentEncoding.Encode(message);
        return Task.CompletedTask;
    }

    private string Unknown(string path)
    {
        int slash = path.LastIndexOf('/');
        string service = slash > 1 ? path[1..slash] : "";
        return _services.Contains(service)
            ? $"The service {service} has no method \"{path[(slash + 1)..]}\"."
            : $"There is no service \"{service}\" here. There are: {string.Join(", ", _services.Order(StringComparer.Ordinal))}.";
    }
}
