using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Grpc.HealthCheck;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Access;
using Henge.Server.Audit;
using Henge.Server.Calls;
using Henge.Server.Cluster;
using Henge.Server.Events;
using Henge.Server.Http;
using Henge.Server.Kv;
using Henge.Server.Metrics;
using Henge.Server.Ports;
using Henge.Server.Rest;
using Henge.Server.Tls;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using ServingStatus = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;

namespace Henge.Server.Hosting;

/// <summary>
/// The doors of a node: one TCP port that speaks gRPC, HTTP/1.1 and every <see cref="IConnectionProtocol"/> that is added. Start it once,
/// stop it once. Thread-safe but for that.
/// </summary>
public sealed class HengeServer : IAsyncDisposable
{
    private readonly DoorOptions _options;
    private readonly WebApplication _application;
    private readonly HealthState _health;
    private readonly CancellationTokenSource _stopping = new();
    private readonly ServerMetrics _metrics;
    private readonly PrometheusExporter _exporter;
    private readonly PortDispatcher _dispatcher;
    private readonly CallGate _gate;
    private readonly PeerStatus _peers;
    private readonly Logins? _logins;
    private readonly AuditLog? _audit;
    private readonly TopologyFeed _feed;
    private ListenOptions? _listen;
    private readonly TlsFiles? _tls;
    private readonly bool _ownsTls;
    private bool _disposed;

    /// <summary>
    /// Prepares the doors of a node. Nothing listens yet. Throws <see cref="HengeException"/> (Misconfigured) for settings that cannot
    /// work.
    /// </summary>
    /// <param name="node">The node behind the doors.</param>
    /// <param name="options">Where to listen, and limits.</param>
    /// <param name="protocols">Protocols beside HTTP, in the order in which they are asked.</param>
    /// <param name="endpoints">Maps HTTP endpoints beside those of the node.</param>
    /// <param name="logging">Takes the events; null: nothing is logged.</param>
    /// <param name="metrics">Where to measure; the server disposes of it. Null: one of its own.</param>
    public HengeServer(
        IHengeNode node,
        DoorOptions options,
        IReadOnlyList<IConnectionProtocol>? protocols = null,
        Action<IEndpointRouteBuilder>? endpoints = null,
        ILoggerFactory? logging = null,
        ServerMetrics? metrics = null)
        : this(node, options, OpenTls(options, logging), protocols, endpoints, logging, metrics) => _ownsTls = true;

    /// <summary>As above, with TLS whose files have been read; null: there is none.</summary>
    internal HengeServer(
        IHengeNode node,
        DoorOptions options,
        TlsFiles? tls,
        IReadOnlyList<IConnectionProtocol>? protocols = null,
        Action<IEndpointRouteBuilder>? endpoints = null,
        ILoggerFactory? logging = null,
        ServerMetrics? metrics = null,
        Logins? logins = null,
        AuditLog? audit = null)
    {
        _options = options;
        _logins = logins;
        _audit = audit;
        _tls = tls;
        _metrics = metrics ?? new ServerMetrics();
        _ = new NodeMetrics(_metrics.Meter, node);
        _exporter = new PrometheusExporter(_metrics);
        logging ??= NullLoggerFactory.Instance;
        ILogger grpcLogger = logging.CreateLogger(ServerEvents.Grpc.Category);
        _gate = new CallGate(options.Grpc, node, _metrics, new CallErrors(grpcLogger, _stopping.Token), _stopping.Token);
        _health = new HealthState(TellHealth);

        HandoffEndPoint http2 = new("http2");
        HandoffEndPoint http1 = new("http1");
        TlsUpgrade? upgrade = tls is null
            ? null
            : new TlsUpgrade(tls, options.Port, _metrics, logging.CreateLogger(ServerEvents.Tls.Category));
        TlsFiles.Observe(_metrics.Meter, tls);
        AuditLog.Observe(_metrics.Meter, audit);
        _metrics.Meter.CreateObservableGauge(
            "henge.insecure",
            () => options.IsInsecure ? 1 : 0,
            null,
            "1 when the node was started with --insecure, else 0.");
        _peers = new PeerStatus(tls is null ? null : new TlsConnector(tls), tls is null ? logins?.Tokens : null);
        _feed = new TopologyFeed(node);
        _dispatcher = new PortDispatcher(options.Port, upgrade, protocols ?? [], http2.Listener, http1.Listener, _metrics);
        _metrics.Meter.CreateObservableGauge(
            "henge.server.input.size",
            () => _dispatcher.InputBytes,
            "By",
            "Bytes that have arrived on RESP, JSON lines and Thrift connections and were not taken yet, without the first 64 KiB of each "
                + "connection.");

        IPEndPoint address = Resolve(options.Address);
        _application = WebHosting.Create(options, _health, logging, logins, kestrel =>
        {
            kestrel.Listen(http2, static listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.Listen(http1, static listen => listen.Protocols = HttpProtocols.Http1);
            kestrel.Listen(address, listen =>
            {
                _listen = listen;
                listen.Run(_dispatcher.RunAsync);
            });
        });
        if (logins is not null)
        {
            // The host would put the library's own middleware before everything, which costs each request something, asked for or not.
            ((IApplicationBuilder)_application).Properties["__AuthenticationMiddlewareSet"] = true;
            Authentication authentication = new(logins, _gate, tls is not null);
            _application.Use((context, next) => authentication.PassAsync(context, next));
        }

        MapGrpc(node, logging);
        MapHttp(node, new HttpDoor(_metrics, logging.CreateLogger(ServerEvents.Http.Category)), endpoints);
    }

    /// <summary>
    /// Where it listens, with the port that the system chose when the setting said 0. After <see cref="StartAsync"/> only.
    /// </summary>
    public IPEndPoint EndPoint => _listen?.IPEndPoint ?? throw new InvalidOperationException("The server has not been started.");

    /// <summary>The way of gRPC calls, for tests.</summary>
    internal CallGate Calls => _gate;

    /// <summary>
    /// Serves a connection as if the port had accepted it, for tests without sockets. After <see cref="StartAsync"/> only.
    /// </summary>
    internal Task ServeAsync(ConnectionContext connection) => _dispatcher.RunAsync(connection);

    /// <summary>Connections that are open now.</summary>
    public int OpenConnections => _dispatcher.Open;

    /// <summary>
    /// Bytes that have arrived on connections of RESP, JSON lines and Thrift and were not taken yet, as far as they are counted, for tests.
    /// </summary>
    internal long InputBytes => _dispatcher.InputBytes;

    /// <summary>
    /// Begins to listen and to serve; health checks say that it does, unless <see cref="SetProblem"/> was called before. Throws
    /// <see cref="HengeException"/> (Misconfigured) when the address cannot be had.
    /// </summary>
    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            await _application.StartAsync(cancellationToken);
            _dispatcher.Start();
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            throw CannotListen(_options.Address, e);
        }

        _health.SetIfUnset(null);
    }

    /// <summary>
    /// Throws what <see cref="StartAsync"/> would throw when the address cannot be had now, by having it for a moment. Another process may
    /// still take it in between.
    /// </summary>
    internal static void CheckAddress(string address)
    {
        IPEndPoint point = Resolve(address);
        try
        {
            using Socket probe = new(point.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            if (point.Address.Equals(IPAddress.IPv6Any))
            {
                // As the web server listens on it: for both versions of the protocol.
                probe.DualMode = true;
            }

            probe.Bind(point);
            probe.Listen();
        }
        catch (SocketException e)
        {
            throw CannotListen(address, e);
        }
    }

    /// <summary>Says in health checks why the node does not serve; null: it does.</summary>
    public void SetProblem(string? problem) => _health.Set(problem);

    /// <summary>
    /// Stops: takes no new connections, tells callers to go elsewhere, ends streams, lets calls under way finish for at most
    /// <see cref="DoorOptions.DrainTimeout"/>, and cuts what is left.
    /// </summary>
    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        SetProblem("The node is stopping.");
        using CancellationTokenSource drain = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        drain.CancelAfter(_options.DrainTimeout);
        Task stopped = _application.StopAsync(drain.Token);
        await _stopping.CancelAsync();
        await stopped;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        await StopAsync(new CancellationToken(canceled: true));
        await _application.DisposeAsync();
        _dispatcher.Dispose();
        _peers.Dispose();
        _feed.Dispose();
        _stopping.Dispose();
        _exporter.Dispose();
        _metrics.Dispose();
        if (_ownsTls)
        {
            _tls?.Dispose();
        }
    }

    // A door of its own, without the node's host.
    private static TlsFiles? OpenTls(DoorOptions options, ILoggerFactory? logging)
    {
        TlsSettings? settings = SecuritySettings.TlsOf(options);
        SecuritySettings.CheckListening(options, Resolve(options.Address).Address, settings);
        return settings is null
            ? null
            : TlsFiles.Open(settings, (logging ?? NullLoggerFactory.Instance).CreateLogger(ServerEvents.Tls.Category));
    }

    private void MapGrpc(IHengeNode node, ILoggerFactory logging)
    {
        KvService kv = new(node, _options.Streams, _gate) { IsInsecure = _options.IsInsecure };
        ClusterService cluster = new(node, _peers, _feed, _gate)
        {
            NeedsCertificates = _tls is not null,
            IsInsecure = _options.IsInsecure,
            Audit = AuditOf(logging),
        };
        IEnumerable<ServerServiceDefinition> definitions =
            [kv.Define(KvService.Name), kv.Define(KvService.SecondName), cluster.Define(), .. DefineAccess(node, logging)];
        List<IEndpointConventionBuilder> mapped = [.. definitions.Select(_application.MapGrpcService)];
        mapped.Add(_application.MapGrpcHealthChecksService());
        mapped.Add(_application.MapGrpcReflectionService());
        foreach (IEndpointConventionBuilder methods in mapped)
        {
            methods.Finally(endpoint =>
            {
                string method = ((RouteEndpointBuilder)endpoint).RoutePattern.RawText![1..];
                if (AccessRules.Of(method) is { } rule)
                {
                    endpoint.Metadata.Add(new AccessRuleOf(rule));
                }

                endpoint.RequestDelegate = _gate.Before(
                    method,
                    ServedServices.TakesStream(method),
                    endpoint.RequestDelegate!,
                    kv.EarlyOf(method));
            });
        }
    }

    private IEnumerable<ServerServiceDefinition> DefineAccess(IHengeNode node, ILoggerFactory logging) =>
        _logins is null
            ? []
            : [new AccessService(node, _logins, _gate, AuditOf(logging)).Define()];

    private ILogger AuditOf(ILoggerFactory logging) => AuditLogger.Over(logging.CreateLogger(ServerEvents.Access.Category), _audit);

    private void MapHttp(IHengeNode node, HttpDoor door, Action<IEndpointRouteBuilder>? endpoints)
    {
        RouteGroupBuilder group = _application.MapGroup("");
        NodeEndpoints.Map(group, _exporter, Notices);
        RestEndpoints.Map(group, node);
        endpoints?.Invoke(group);
        ((IEndpointConventionBuilder)group).Finally(static endpoint => endpoint.Metadata.Add(new AccessRuleOf(
            ((RouteEndpointBuilder)endpoint).RoutePattern.RawText is var path && path!.StartsWith("/v1/", StringComparison.Ordinal)
                ? AccessRule.Keys
                : path == "/metrics" ? AccessRule.Known
                : AccessRule.Open)));
        door.PutBefore(group);

        // No endpoint of its own: that would take the place of the answer that a path is there, and a method is not.
        RequestDelegate nothing = door.Before(HttpDoor.NotFoundAsync, "other");
        _application.Use((context, next) => context.GetEndpoint() is not null ? next(context)
            : _gate.TryAnswerUnknown(context, ServedServices.Names) ? Task.CompletedTask
            : nothing(context));
    }

    private string Notices() => (_options.IsInsecure ? NodeEndpoints.Insecure : "") + (_audit?.Notice is { } notice ? notice + "\n" : "");

    private void TellHealth(bool serves)
    {
        HealthServiceImpl health = _application.Services.GetRequiredService<HealthServiceImpl>();
        foreach (string service in (string[])["", .. ServedServices.Names])
        {
            health.SetStatus(service, serves ? ServingStatus.Serving : ServingStatus.NotServing);
        }
    }

    private static HengeException CannotListen(string address, Exception e)
    {
        string reason = (
            e as SocketException ?? e.InnerException as SocketException ?? e.InnerException?.InnerException as SocketException
        )?.SocketErrorCode switch
        {
            SocketError.AddressAlreadyInUse => "another process listens there. Stop it, or choose another address with --addr",
            SocketError.AccessDenied => "this user may not listen there. Choose a port above 1023 with --addr",
            SocketError.AddressNotAvailable => "this machine has no such address. Choose another with --addr",
            _ when e.InnerException is AddressInUseException =>
                "another process listens there. Stop it, or choose another address with --addr",
            _ => e.Message,
        };
        return new HengeException(ErrorCode.Misconfigured, $"Cannot listen on {address}: {reason}.", e);
    }

    /// <summary>Where a setting says to listen. Throws <see cref="HengeException"/> (Misconfigured).</summary>
    internal static IPEndPoint Resolve(string address)
    {
        if (IPEndPoint.TryParse(address, out IPEndPoint? parsed) && (parsed.Port != 0 || address.EndsWith(":0", StringComparison.Ordinal)))
        {
            return parsed;
        }

        int colon = address.LastIndexOf(':');
        if (colon <= 0 || !ushort.TryParse(address.AsSpan(colon + 1), out ushort port))
        {
            throw new HengeException(
                ErrorCode.Misconfigured,
                $"The address \"{address}\" is not HOST:PORT. Write for example 127.0.0.1:7001.");
        }

        try
        {
            IPAddress[] found = Dns.GetHostAddresses(address[..colon]);
            IPAddress chosen = found.FirstOrDefault(a => a.AddressFamily == AddressFamily.InterNetwork) ?? found[0];
            return new IPEndPoint(chosen, port);
        }
        catch (Exception e) when (e is SocketException or IndexOutOfRangeException or ArgumentException)
        {
            throw new HengeException(
                ErrorCode.Misconfigured,
                $"The host \"{address[..colon]}\" of the address \"{address}\" cannot be resolved: {e.Message}",
                e);
        }
    }
}
