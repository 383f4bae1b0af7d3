using System.Buffers;
using System.IO.Pipelines;
using Google.Protobuf;
using Henge.Core;
using Henge.Protocol.Grpc;
using Henge.Server.Kv;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace Henge.Server.Grpc;

/// <summary>
/// One gRPC call on the server. Kestrel keeps it with its pooled HTTP/2 stream, so that a call allocates no context. Belongs to its handler; not
/// thread-safe, but for <see cref="Cancellation"/>.
/// </summary>
internal sealed class ServerCall
{
    private static readonly StringValues ContentType = GrpcHeaders.ContentType;
    private static readonly StringValues StatusOk = "0";

    private IFeatureCollection _features = null!;
    private IHttpRequestFeature _request = null!;
    private IHttpResponseFeature _response = null!;
    private IHttpResponseBodyFeature? _body;
    private PipeReader? _reader;
    private PipeWriter? _writer;
    private CancellationTokenSource? _cancellation;
    private bool _wrote;

    /// <summary>The server that it came to.</summary>
    public GrpcServer Server { get; private set; } = null!;

    /// <summary>The features of the HTTP request.</summary>
    public IFeatureCollection Features => _features;

    /// <summary>The path, which names service and method.</summary>
    public string Path => _request.Path;

    /// <summary>The metadata that the caller sent.</summary>
    public IHeaderDictionary RequestHeaders => _request.Headers;

    /// <summary>Metadata to send before the first message.</summary>
    public IHeaderDictionary ResponseHeaders => _response.Headers;

    /// <summary>The caller packs its messages with gzip; long answers to it are packed too, when it can read them.</summary>
    public bool RequestGzip { get; private set; }

    /// <summary>Answers may be packed.</summary>
    public bool ResponseGzip { get; private set; }

    /// <summary>When the caller stops waiting, on the server's monotonic clock in milliseconds; 0: it named no time.</summary>
    public long DeadlineMs { get; private set; }

    /// <summary>Where messages come from.</summary>
    public PipeReader Reader => _reader ??= _features.GetRequiredFeature<IRequestBodyPipeFeature>().Reader;

    /// <summary>Where messages go.</summary>
    public PipeWriter Writer => _writer ??= Body.Writer;

    /// <summary>Fires when the caller is gone or its deadline has passed. Costs allocations: hot paths hand <see cref="DeadlineMs"/> on instead.</summary>
    public CancellationToken Cancellation
    {
        get
        {
            if (_cancellation is null)
            {
                _cancellation = CancellationTokenSource.CreateLinkedTokenSource(
                    _features.GetRequiredFeature<IHttpRequestLifetimeFeature>().RequestAborted, Server.Stopping);
                if (DeadlineMs > 0)
                {
                    _cancellation.CancelAfter(TimeSpan.FromMilliseconds(Math.Clamp(DeadlineMs - Server.MonotonicMs, 0, int.MaxValue)));
                }
            }

            return _cancellation.Token;
        }
    }

    private IHttpResponseBodyFeature Body => _body ??= _features.GetRequiredFeature<IHttpResponseBodyFeature>();

    public void Begin(GrpcServer server, IFeatureCollection features)
    {
        Server = server;
        _features = features;
        _request = features.GetRequiredFeature<IHttpRequestFeature>();
        _response = features.GetRequiredFeature<IHttpResponseFeature>();
    }

    public void End()
    {
        _cancellation?.Dispose();
        _cancellation = null;
        _body = null;
        _reader = null;
        _writer = null;
        _wrote = false;
        RequestGzip = false;
        ResponseGzip = false;
        DeadlineMs = 0;
        _features = null!;
        _request = null!;
        _response = null!;
    }

    /// <summary>Judges the headers of the call; false when it has been answered with an error.</summary>
    public bool TryAccept()
    {
        _response.Headers.ContentType = ContentType;
        IHeaderDictionary headers = _request.Headers;
        StringValues encoding = headers.GrpcEncoding;
        if (encoding.Count > 0 && !GrpcHeaders.Identity.Equals(encoding[0], StringComparison.Ordinal))
        {
            if (!GrpcHeaders.Gzip.Equals(encoding[0], StringComparison.Ordinal))
            {
                _response.Headers.GrpcAcceptEncoding = "identity,gzip";
                Fail(GrpcStatusCode.Unimplemented, $"The compression \"{encoding[0]}\" is not known here. Send identity or gzip.");
                return false;
            }

            RequestGzip = true;
            ResponseGzip = AcceptsGzip(headers.GrpcAcceptEncoding);
            if (ResponseGzip)
            {
                _response.Headers.GrpcEncoding = GrpcHeaders.Gzip;
            }
        }

        if (headers.TryGetValue(GrpcHeaders.HengeCluster, out StringValues cluster) && cluster.Count > 0 && !Server.ClusterId.Equals(cluster[0], StringComparison.Ordinal))
        {
            if (Server.ClusterId.Length == 0)
            {
                Fail(ErrorCode.Unavailable, "This node does not know its cluster's id yet, and so cannot tell whether the caller means it. Try again.");
                return false;
            }

            Fail(
                ErrorCode.Misconfigured,
                $"This node is of the cluster {Server.ClusterId}, and the caller means {cluster[0]}. Nothing was done. An address of that cluster leads here: look at what its nodes advertise (--cluster, --advertise), and at the caller's list of nodes.");
            return false;
        }

        StringValues timeout = headers.GrpcTimeout;
        if (timeout.Count > 0)
        {
            if (!GrpcTimeout.TryParse(timeout[0], out long timeoutMs))
            {
                Fail(GrpcStatusCode.InvalidArgument, $"The grpc-timeout \"{timeout[0]}\" is malformed. Write up to eight digits and one of H, M, S, m, u, n.");
                return false;
            }

            DeadlineMs = Server.MonotonicMs + timeoutMs;
        }

        return true;
    }

    /// <summary>Writes an answer's message into the response, without flushing.</summary>
    public void Write(IMessage message)
    {
        _wrote = true;
        if (ResponseGzip && message.CalculateSize() > GrpcServer.GzipFromBytes)
        {
            GrpcFrame.WriteGzip(Writer, message);
        }
        else
        {
            GrpcFrame.Write(Writer, message);
        }
    }

    /// <summary>Writes the answer of a completed operation, whose size is known, in place and without flushing.</summary>
    public void Write(KvOperation operation, int size)
    {
        _wrote = true;
        if (ResponseGzip && size > GrpcServer.GzipFromBytes)
        {
            byte[] plain = new byte[size];
            operation.WriteResponse(plain);
            GrpcFrame.WriteGzip(Writer, plain);
            return;
        }

        Span<byte> span = Writer.GetSpan(GrpcFrame.PrefixBytes + size);
        GrpcFrame.WritePrefix(span, size);
        operation.WriteResponse(span.Slice(GrpcFrame.PrefixBytes, size));
        Writer.Advance(GrpcFrame.PrefixBytes + size);
    }

    /// <summary>Writes an encoded message, without flushing.</summary>
    public void Write(ReadOnlySpan<byte> message)
    {
        _wrote = true;
        if (ResponseGzip && message.Length > GrpcServer.GzipFromBytes)
        {
            GrpcFrame.WriteGzip(Writer, message);
            return;
        }

        Span<byte> span = Writer.GetSpan(GrpcFrame.PrefixBytes + message.Length);
        GrpcFrame.WritePrefix(span, message.Length);
        message.CopyTo(span[GrpcFrame.PrefixBytes..]);
        Writer.Advance(GrpcFrame.PrefixBytes + message.Length);
    }

    /// <summary>Tells that something was written straight into <see cref="Writer"/>.</summary>
    public void Wrote() => _wrote = true;

    /// <summary>Sends the headers now, so that the caller knows that its stream is open.</summary>
    public ValueTask SendHeadersAsync()
    {
        // Starting the response alone leaves the headers in Kestrel's buffer.
        _wrote = true;
        return FlushAsync();
    }

    /// <summary>Sends what was written, and waits while the caller is slow. Throws <see cref="GrpcException"/> when it is too slow or gone.</summary>
    public async ValueTask FlushAsync()
    {
        ValueTask<FlushResult> flush = Writer.FlushAsync(CancellationToken.None);
        FlushResult result = flush.IsCompletedSuccessfully ? flush.Result : await WaitFlushAsync(flush);
        if (result.IsCompleted || result.IsCanceled)
        {
            throw new GrpcException(GrpcStatusCode.Cancelled, "The caller is gone.", ErrorCode.Cancelled);
        }
    }

    /// <summary>Ends the call well. Messages that were written go out with the trailers.</summary>
    public void Succeed()
    {
        IHeaderDictionary trailers = _features.GetRequiredFeature<IHttpResponseTrailersFeature>().Trailers;
        trailers.GrpcStatus = StatusOk;
    }

    /// <summary>Ends the call with an error of Henge.</summary>
    public void Fail(ErrorCode code, string message, string? leaderHint = null) => Fail(GrpcErrors.ToStatus(code), message, code, leaderHint);

    /// <summary>Ends the call with a status: in the trailers, or in the headers where nothing was written ("Trailers-Only").</summary>
    public void Fail(GrpcStatusCode status, string message, ErrorCode code = ErrorCode.None, string? leaderHint = null)
    {
        IHeaderDictionary trailers = _wrote || _response.HasStarted
            ? _features.GetRequiredFeature<IHttpResponseTrailersFeature>().Trailers
            : _response.Headers;
        Server.Metrics.Failed(code != ErrorCode.None ? code : ErrorCode.InvalidArgument);
        trailers.GrpcStatus = GrpcErrors.ToTrailer(status);
        trailers.GrpcMessage = GrpcPercentEncoding.Encode(message);
        if (code != ErrorCode.None)
        {
            trailers[GrpcHeaders.HengeError] = GrpcErrors.ToTrailer(code);
        }

        if (!string.IsNullOrEmpty(leaderHint))
        {
            trailers[GrpcHeaders.HengeLeader] = leaderHint;
        }
    }

    /// <summary>Ends the call with what was thrown.</summary>
    public void Fail(Exception exception)
    {
        switch (exception)
        {
            case GrpcException e:
                Fail(e.Status, e.Message, e.Code);
                break;
            case NotLeaderException e:
                Fail(e.Code, e.Message, e.LeaderHint);
                break;
            case HengeException e:
                Fail(e.Code, e.Message);
                break;
            case OperationCanceledException when Server.Stopping.IsCancellationRequested:
                Fail(ErrorCode.Stopping, "The node is stopping. Go on with another one.");
                break;
            case OperationCanceledException when DeadlineMs > 0 && !_features.GetRequiredFeature<IHttpRequestLifetimeFeature>().RequestAborted.IsCancellationRequested:
                // Not the clock is asked: the timer may be a hair ahead of it.
                Fail(ErrorCode.DeadlineExceeded, "The deadline of the call passed.");
                break;
            case OperationCanceledException:
                Fail(ErrorCode.Cancelled, "The call was cancelled.");
                break;
            case BadHttpRequestException or IOException:
                // The connection broke or the caller was too slow: nobody reads this status.
                Fail(GrpcStatusCode.Cancelled, exception.Message, ErrorCode.Cancelled);
                break;
            default:
                Server.ReportFailure(this, exception);
                Fail(ErrorCode.Internal, $"An internal error ({exception.GetType().Name}). This is a bug in Henge; the server's log has more.");
                break;
        }
    }

    /// <summary>Lets a stream of messages take as long as it likes: the rate limit on request bodies is for unary calls.</summary>
    public void AllowSlowRequest()
    {
        if (_features.Get<Microsoft.AspNetCore.Server.Kestrel.Core.Features.IHttpMinRequestBodyDataRateFeature>() is { } rate)
        {
            rate.MinDataRate = null;
        }
    }

    /// <summary>Cuts the stream off.</summary>
    public void Abort() => _features.GetRequiredFeature<IHttpRequestLifetimeFeature>().Abort();

    private async ValueTask<FlushResult> WaitFlushAsync(ValueTask<FlushResult> flush)
    {
        Task<FlushResult> task = flush.AsTask();
        try
        {
            return await task.WaitAsync(Server.Limits.StalledStreamTimeout, Cancellation);
        }
        catch (TimeoutException)
        {
            Abort();
            throw new GrpcException(GrpcStatusCode.ResourceExhausted, "The caller took nothing for too long.", ErrorCode.ResourceExhausted);
        }
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
