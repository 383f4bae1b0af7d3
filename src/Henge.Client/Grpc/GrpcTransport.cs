using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;
using Henge.Core;
using Henge.Protocol.Grpc;

namespace Henge.Client.Grpc;

/// <summary>
/// The client half of gRPC over HTTP/2 (doc/PROTOCOL-HTTP2.md), on <see cref="SocketsHttpHandler"/>. One for a client; connections to each node are shared by
/// all calls, and more are opened when a node's stream limit is reached. Thread-safe.
/// </summary>
internal sealed class GrpcTransport : IDisposable
{
    private const int MaxTargets = 1024;
    private static readonly System.Version Http2 = new(2, 0);
    private static readonly MediaTypeHeaderValue ContentType = new(GrpcHeaders.ContentType);

    private readonly HttpMessageInvoker _invoker;
    private readonly HengeClientOptions _options;
    private readonly ClusterPin _pin;
    private readonly string _scheme;
    private readonly CallTimers _timers;
    private readonly ConcurrentDictionary<string, bool> _answered = new();
    private readonly ConcurrentDictionary<(string Address, string Path), Uri> _targets = new();

    /// <summary>Makes the transport; connects to nothing yet.</summary>
    public GrpcTransport(HengeClientOptions options, ClusterPin? pin = null)
    {
        _pin = pin ?? new ClusterPin(options.ClusterId);
        _options = options;
        _timers = new CallTimers(options.TimeProvider);
        _scheme = options.Tls is null ? "http://" : "https://";
        SocketsHttpHandler handler = new()
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            ActivityHeadersPropagator = null,
            ConnectTimeout = options.ConnectTimeout,
            EnableMultipleHttp2Connections = true,
            // A window of a megabyte lets a whole page of a scan arrive without waiting for updates.
            InitialHttp2StreamWindowSize = 1024 * 1024,
            KeepAlivePingDelay = options.KeepAliveInterval,
            KeepAlivePingTimeout = options.KeepAliveTimeout,
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
            PooledConnectionIdleTimeout = TimeSpan.FromMinutes(5),
            UseCookies = false,
            UseProxy = false,
        };
        if (options.Tls is { } tls)
        {
            handler.SslOptions = tls;
        }

        _invoker = new HttpMessageInvoker(handler);
    }

    /// <summary>Largest message accepted, in bytes.</summary>
    public int MaxReceiveMessageBytes => _options.MaxReceiveMessageBytes;

    /// <summary>
    /// One request, one answer. Throws <see cref="AttemptFailedException"/> for whatever goes wrong, <see cref="OperationCanceledException"/> when the caller's
    /// token was cancelled, and <see cref="TooLargeException"/> before anything is sent.
    /// </summary>
    public async Task<TResponse> UnaryAsync<TResponse>(
        GrpcMethod<TResponse> method, string address, IMessage request, TimeSpan timeout, CancellationToken cancellationToken)
        where TResponse : class, IMessage<TResponse>
    {
        UnaryContent content = Frame(request);
        using HttpRequestMessage http = NewRequest(address, method.Path, content, timeout);
        using CallTimers.CallTimer timer = _timers.Begin(timeout, cancellationToken);
        try
        {
            using HttpResponseMessage response = await _invoker.SendAsync(http, timer.Token).ConfigureAwait(false);
            _answered.TryAdd(address, true);
            GrpcStatusReader.CheckHead(response, address);
            using Stream body = await response.Content.ReadAsStreamAsync(timer.Token).ConfigureAwait(false);
            using GrpcMessageReader reader = new(body, _options.MaxReceiveMessageBytes, address, GrpcMessageReader.UnaryBytes);
            TResponse? answer = null;
            while (await reader.ReadAsync(timer.Token).ConfigureAwait(false) is { } message)
            {
                if (answer is not null)
                {
                    throw new AttemptFailedException(ErrorCode.Internal, $"{address} sent more than one answer to {method.Path}.", AttemptOutcome.Unknown);
                }

                answer = Parse(method, message, address);
            }

            GrpcStatusReader.CheckTrailers(response, address);
            return answer ?? throw new AttemptFailedException(ErrorCode.Internal, $"{address} sent no answer to {method.Path}.", AttemptOutcome.Unknown);
        }
        catch (OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw GrpcFailure.TimedOut(address, timeout, content.IsLeaving);
        }
        catch (Exception e) when (GrpcFailure.IsTransport(e))
        {
            cancellationToken.ThrowIfCancellationRequested();
            _answered.TryRemove(address, out _);
            throw GrpcFailure.From(e, address, content.IsLeaving);
        }
    }

    /// <summary>
    /// One request, many answers. Waits for the head of the answer, for at most <see cref="HengeClientOptions.AttemptTimeout"/>; the stream itself lasts
    /// until it ends, is disposed of, or <paramref name="lifetime"/> is cancelled.
    /// </summary>
    public async Task<GrpcServerStream<TResponse>> ServerStreamAsync<TResponse>(
        GrpcMethod<TResponse> method, string address, IMessage request, TimeSpan? timeout, CancellationToken lifetime)
        where TResponse : class, IMessage<TResponse>
    {
        HttpRequestMessage http = NewRequest(address, method.Path, Frame(request), timeout);
        CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(lifetime);
        HttpResponseMessage? response = null;
        TimeSpan patience = _options.AttemptTimeout;
        try
        {
            using CancellationTokenSource timer = new(patience, _options.TimeProvider);
            using (timer.Token.UnsafeRegister(static s => ((CancellationTokenSource)s!).Cancel(), stop))
            {
                response = await _invoker.SendAsync(http, stop.Token).ConfigureAwait(false);
            }

            GrpcStatusReader.CheckHead(response, address);
            Stream body = await response.Content.ReadAsStreamAsync(stop.Token).ConfigureAwait(false);
            return new GrpcServerStream<TResponse>(method, address, http, response, new GrpcMessageReader(body, _options.MaxReceiveMessageBytes, address), stop);
        }
        catch (Exception e)
        {
            response?.Dispose();
            http.Dispose();
            stop.Dispose();
            lifetime.ThrowIfCancellationRequested();
            throw e switch
            {
                OperationCanceledException => GrpcFailure.TimedOut(address, patience, sent: true),
                _ when GrpcFailure.IsTransport(e) => GrpcFailure.From(e, address),
                _ => e,
            };
        }
    }

    /// <summary>Opens a stream of raw frames both ways; returns at once, before the node has answered.</summary>
    public GrpcDuplexStream OpenDuplex(string path, string address)
    {
        GrpcDuplexContent content = new();
        content.Headers.ContentType = ContentType;
        HttpRequestMessage http = NewRequest(address, path, content, timeout: null);
        return new GrpcDuplexStream(_invoker, http, content, address, _options.MaxReceiveMessageBytes);
    }

    /// <summary>Parses an answer. Throws <see cref="AttemptFailedException"/> when it is none.</summary>
    internal static TResponse Parse<TResponse>(GrpcMethod<TResponse> method, ReadOnlyMemory<byte> message, string address)
        where TResponse : class, IMessage<TResponse>
    {
        try
        {
            return method.Parser.ParseFrom(message.Span);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new AttemptFailedException(ErrorCode.Internal, $"{address} answered {method.Path} with what is no such answer: {e.Message}", AttemptOutcome.Unknown, inner: e);
        }
    }

    private UnaryContent Frame(IMessage request)
    {
        int size = request.CalculateSize();
        if (size > _options.MaxSendMessageBytes)
        {
            throw new TooLargeException(
                $"The request has {size} bytes, and {nameof(HengeClientOptions.MaxSendMessageBytes)} is {_options.MaxSendMessageBytes}. Send less at once.");
        }

        byte[] framed = new byte[GrpcFrame.PrefixBytes + size];
        GrpcFrame.WritePrefix(framed, size);
        request.WriteTo(framed.AsSpan(GrpcFrame.PrefixBytes));
        return new UnaryContent(framed, ContentType);
    }

    /// <summary>How long a node is told that a request may take.</summary>
    public TimeSpan TimeoutOfNode(string address, TimeSpan patience) => AttemptTiming.TimeoutOfNode(patience, _answered.ContainsKey(address));

    /// <summary>A node has answered on a stream.</summary>
    public void OnAnswered(string address)
    {
        if (!_answered.ContainsKey(address))
        {
            _answered.TryAdd(address, true);
        }
    }

    private HttpRequestMessage NewRequest(string address, string path, HttpContent content, TimeSpan? timeout)
    {
        HttpRequestMessage http = new(HttpMethod.Post, TargetOf(address, path))
        {
            Version = Http2,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = content,
        };
        http.Headers.TryAddWithoutValidation("te", "trailers");
        http.Headers.TryAddWithoutValidation("user-agent", "henge-dotnet/0.1");
        http.Headers.TryAddWithoutValidation(GrpcHeaders.AcceptEncoding, "identity,gzip");
        if (timeout is { } given)
        {
            http.Headers.TryAddWithoutValidation(GrpcHeaders.Timeout, GrpcTimeout.Format(TimeoutOfNode(address, given)));
        }

        if (_pin.Id is { } cluster)
        {
            http.Headers.TryAddWithoutValidation(GrpcHeaders.HengeCluster, cluster);
        }

        foreach ((string name, string value) in _options.Metadata)
        {
            http.Headers.TryAddWithoutValidation(name, value);
        }

        return http;
    }

    // A client has few nodes and methods; should they ever be many, what is over the bound is made anew each time.
    private Uri TargetOf(string address, string path)
    {
        if (_targets.TryGetValue((address, path), out Uri? known))
        {
            return known;
        }

        var target = new Uri(_scheme + address + path);
        if (_targets.Count < MaxTargets)
        {
            _targets.TryAdd((address, path), target);
        }

        return target;
    }

    /// <summary>Closes all connections; what is under way fails.</summary>
    public void Dispose() => _invoker.Dispose();
}
