using System.Collections.Concurrent;
using System.Net;
using Google.Protobuf;
using Grpc.Core;
using Henge.Client.Errors;
using Henge.Core;
using Henge.Protocol.Grpc;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Transport;

/// <summary>
/// Calls to nodes by Grpc.Net.Client, over one <see cref="SocketsHttpHandler"/>: connections to each node are shared by all calls, and more
/// are opened when a node's stream limit is reached. One for a client. Thread-safe.
/// </summary>
internal sealed class NodeTransport : IDisposable
{
    private const int MaxChannels = 1024;

    private readonly HttpClient _http;
    private readonly HengeClientOptions _options;
    private readonly ClusterPin _pin;
    private readonly CallTimers _timers;
    private readonly Metadata.Entry[] _given;
    private readonly ConcurrentDictionary<string, NodeChannel> _channels = new();
    private volatile Metadata.Entry? _cluster;

    /// <summary>Makes the transport; connects to nothing yet.</summary>
    public NodeTransport(HengeClientOptions options, ClusterPin? pin = null)
    {
        _pin = pin ?? new ClusterPin(options.ClusterId);
        _options = options;
        _timers = new CallTimers(options.TimeProvider);
        _given = [.. options.Metadata.Select(static m => m.Key.EndsWith(Metadata.BinaryHeaderSuffix, StringComparison.Ordinal)
            ? new Metadata.Entry(m.Key, Convert.FromBase64String(m.Value))
            : new Metadata.Entry(m.Key, m.Value))];
        SocketsHttpHandler sockets = new()
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
            sockets.SslOptions = tls;
        }

        _http = new HttpClient(new NodeRequestHandler(sockets, NodeCredentials.Of(options)), disposeHandler: true)
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
    }

    /// <summary>
    /// One request, one answer. Throws <see cref="AttemptFailedException"/> for whatever goes wrong,
    /// <see cref="OperationCanceledException"/> when the caller's token was cancelled, and <see cref="TooLargeException"/> before anything
    /// is sent.
    /// </summary>
    public async Task<TResponse> UnaryAsync<TRequest, TResponse>(
        NodeCall<TRequest, TResponse> call, string address, TRequest request, TimeSpan timeout, CancellationToken cancellationToken)
        where TRequest : class, IMessage
        where TResponse : class
    {
        int size = request.CalculateSize();
        if (size > _options.MaxSendMessageBytes)
        {
            throw new TooLargeException(
                $"The request has {size} bytes, and {nameof(HengeClientOptions.MaxSendMessageBytes)} is {_options.MaxSendMessageBytes}. "
                    + $"Send less at once.");
        }

        NodeChannel node = ChannelOf(address);
        Attempt<TRequest> attempt = new(request);
        using CallTimers.CallTimer timer = _timers.Begin(timeout, cancellationToken);
        try
        {
            using AsyncUnaryCall<TResponse> running = call.Start(
                node.Invoker,
                attempt,
                new CallOptions(Headers(AttemptTiming.TimeoutOfNode(timeout, node.HasAnswered)), cancellationToken: timer.Token));
            TResponse response = await running.ResponseAsync.ConfigureAwait(false);
            node.HasAnswered = true;
            return response;
        }
        catch (RpcException e)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (e.StatusCode == StatusCode.Cancelled && timer.Token.IsCancellationRequested)
            {
                throw CallFailure.TimedOut(address, timeout, attempt.IsLeaving, e);
            }

            AttemptFailedException failure = CallFailure.From(e, address, attempt.IsLeaving);
            node.HasAnswered &= !failure.ConnectionFailed;
            throw failure;
        }
        catch (ObjectDisposedException e)
        {
            throw CallFailure.From(e, address, attempt.IsLeaving);
        }
    }

    /// <summary>Keys as they change. As <see cref="OpenAsync"/>.</summary>
    public Task<StreamCall<Wire.WatchEvent>> WatchAsync(string address, Wire.WatchRequest request, CancellationToken lifetime) =>
        OpenAsync(
            address,
            request,
            static (invoker, asked, options) => new Wire.KVStore.KVStoreClient(invoker).Watch(asked, options),
            lifetime);

    /// <summary>The topology as it changes. As <see cref="OpenAsync"/>.</summary>
    public Task<StreamCall<Wire.TopologyResponse>> WatchTopologyAsync(string address, CancellationToken lifetime) =>
        OpenAsync(
            address,
            new Wire.WatchTopologyRequest(),
            static (invoker, asked, options) => new Wire.Cluster.ClusterClient(invoker).WatchTopology(asked, options),
            lifetime);

    /// <summary>
    /// A stream of answers. Waits for the head of the answer, for at most <see cref="HengeClientOptions.AttemptTimeout"/>; the stream
    /// itself lasts until it ends, is disposed of, or <paramref name="lifetime"/> is cancelled. Throws as <see cref="UnaryAsync"/> does.
    /// </summary>
    private async Task<StreamCall<TAnswer>> OpenAsync<TRequest, TAnswer>(
        string address,
        TRequest request,
        Func<CallInvoker, TRequest, CallOptions, AsyncServerStreamingCall<TAnswer>> open,
        CancellationToken lifetime)
        where TAnswer : class
    {
        AsyncServerStreamingCall<TAnswer>? call = null;
        try
        {
            call = open(
                ChannelOf(address).Invoker,
                request,
                new CallOptions(Headers(timeout: null), cancellationToken: lifetime));
            await call.ResponseHeadersAsync.WaitAsync(_options.AttemptTimeout, _options.TimeProvider, lifetime).ConfigureAwait(false);
            return new StreamCall<TAnswer>(call, address);
        }
        catch (Exception e)
        {
            call?.Dispose();
            lifetime.ThrowIfCancellationRequested();
            throw e switch
            {
                TimeoutException => CallFailure.TimedOut(address, _options.AttemptTimeout, sent: true, e),
                RpcException failed => CallFailure.From(failed, address),
                ObjectDisposedException disposed => CallFailure.From(disposed, address, sent: true),
                _ => e,
            };
        }
    }

    /// <summary>
    /// Opens a stream both ways; returns at once, before the node has answered. A node that refuses it ends it: it is not tried on another
    /// connection in silence, where what was written to the first one would be missing.
    /// </summary>
    public AsyncDuplexStreamingCall<TRequest, TResponse> OpenDuplex<TRequest, TResponse>(
        Method<TRequest, TResponse> method,
        NodeChannel node)
        where TRequest : class
        where TResponse : class
    {
        Metadata headers = Headers(timeout: null);
        headers.Add(NodeRequestHandler.OnceHeader, "1");
        return node.Invoker.AsyncDuplexStreamingCall(method, null, new CallOptions(headers));
    }

    private Metadata Headers(TimeSpan? timeout)
    {
        Metadata headers = [];
        if (timeout is { } told)
        {
            headers.Add(NodeRequestHandler.TimeoutHeader, GrpcTimeout.Format(told));
        }

        if (_cluster is { } known)
        {
            headers.Add(known);
        }
        else if (_pin.Id is { } cluster)
        {
            headers.Add(_cluster = new Metadata.Entry(GrpcHeaders.HengeCluster, cluster));
        }

        foreach (Metadata.Entry entry in _given)
        {
            headers.Add(entry);
        }

        return headers;
    }

    /// <summary>The channel to a node.</summary>
    public NodeChannel ChannelOf(string address)
    {
        if (_channels.TryGetValue(address, out NodeChannel? known))
        {
            return known;
        }

        NodeChannel channel = new(address, _options, _http);

        // A client has few nodes. Addresses come from answers as well: should they ever be many, what is over the bound is made anew each
        // time; its connections are the handler's.
        return _channels.Count < MaxChannels ? _channels.GetOrAdd(address, channel) : channel;
    }

    /// <summary>These are the cluster's nodes now: what is kept for others is let go of. Calls under way there go on.</summary>
    public void Keep(IReadOnlyList<string> addresses)
    {
        foreach (string address in _channels.Keys)
        {
            if (!addresses.Contains(address))
            {
                // It holds nothing by itself: the connections are the handler's, which closes them when they are idle.
                _channels.TryRemove(address, out _);
            }
        }
    }

    /// <summary>Closes all connections; what is under way fails.</summary>
    public void Dispose()
    {
        foreach (NodeChannel channel in _channels.Values)
        {
            channel.Dispose();
        }

        _http.Dispose();
    }
}
