using Henge.Node.Api;
using Henge.Server.Access;
using Henge.Server.Audit;
using Henge.Server.Events;
using Henge.Server.JsonLines;
using Henge.Server.Metrics;
using Henge.Server.Operations;
using Henge.Server.Peers;
using Henge.Server.Ports;
using Henge.Server.Resp;
using Henge.Server.Runtime;
using Henge.Server.Thrift;
using Henge.Server.Tls;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Henge.Server.Hosting;

/// <summary>
/// A whole node with all its doors: what <c>henge serve</c> runs, for programs that have a node inside their own process. Start it once;
/// dispose of it to stop it.
/// </summary>
public sealed class HengeHost : IAsyncDisposable
{
    private readonly NodeHost _node;
    private readonly HengeServer _server;
    private readonly ReadinessMonitor _readiness;
    private readonly OtlpExport? _otlp;
    private readonly TlsFiles? _tls;
    private readonly AuditLog? _auditLog;
    private readonly CancellationTokenSource _stopping = new();
    private Task _settingRoot = Task.CompletedTask;
    private readonly Logins _logins;
    private readonly ILogger _logger;
    private bool _disposed;

    private HengeHost(
        NodeHost node,
        HengeServer server,
        ReadinessMonitor readiness,
        OtlpExport? otlp,
        TlsFiles? tls,
        AuditLog? auditLog,
        Logins logins,
        ILogger logger)
    {
        _auditLog = auditLog;
        _logins = logins;
        _tls = tls;
        _node = node;
        _server = server;
        _readiness = readiness;
        _otlp = otlp;
        _logger = logger;
    }

    /// <summary>The node.</summary>
    public IHengeNode Node => _node.Node;

    /// <summary>The audit log, for tests; null: there is none.</summary>
    internal AuditLog? AuditLog => _auditLog;

    /// <summary>The port.</summary>
    public HengeServer Server => _server;

    /// <summary>
    /// Opens the data directory, begins to take part in the cluster, and listens. Throws <see cref="Core.HengeException"/> with what to do
    /// about it: a directory that is held, damaged or another node's, a list that does not fit, an address that cannot be had.
    /// </summary>
    /// <param name="options">The settings.</param>
    /// <param name="logging">
    /// Takes the node's events, and those of the web server and gRPC inside it, as far as its filters let them; null: nothing is logged.
    /// <see cref="ServerLogging"/> is what <c>henge serve</c> uses.
    /// </param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<HengeHost> StartAsync(
        ServerOptions options,
        ILoggerFactory? logging = null,
        CancellationToken cancellationToken = default)
    {
        logging ??= NullLoggerFactory.Instance;
        ILogger logger = logging.CreateLogger(ServerEvents.Node.Category);
        options = ServerAddresses.Resolve(options);

        // Before the data directory is made: a start that is refused leaves nothing behind.
        TlsSettings? tlsSettings = SecuritySettings.TlsOf(options.Door, options.IsForPeers);
        SecuritySettings.CheckListening(options.Door, HengeServer.Resolve(options.Door.Address).Address, tlsSettings);
        HengeServer.CheckAddress(options.Door.Address);
        string rootPassword = options.Door.RootPasswordFile.Length == 0 ? "" : RootPassword.Read(options.Door.RootPasswordFile);
        DataDirectory.Check(options.Node.DataDirectory, logger);
        ILogger securityLogger = logging.CreateLogger(ServerEvents.Tls.Category);
        TlsFiles? tls = tlsSettings is null ? null : TlsFiles.Open(tlsSettings, securityLogger);
        AuditLog? auditLog = null;
        try
        {
            if (options.Door.IsInsecure)
            {
                ServerEvents.Tls.Insecure(securityLogger, options.Door.Address);
            }

            ILogger auditLogger = logging.CreateLogger(ServerEvents.Access.Category);
            auditLog = AuditLog.OpenIfAsked(options.Audit, options.Node.Name, auditLogger);
            HengeHost host = await StartAsync(options, tls, auditLog, logging, logger, cancellationToken).ConfigureAwait(false);
            if (rootPassword.Length > 0)
            {
                host.SetRootPassword(rootPassword, auditLogger);
            }

            return host;
        }
        catch
        {
            auditLog?.Dispose();
            tls?.Dispose();
            throw;
        }
    }

    private static async Task<HengeHost> StartAsync(
        ServerOptions options,
        TlsFiles? tls,
        AuditLog? auditLog,
        ILoggerFactory logging,
        ILogger logger,
        CancellationToken cancellationToken)
    {
        TlsConnector? connector = tls is null ? null : new TlsConnector(tls);
        await ClusterJoin.RunAsync(options, connector, logger, cancellationToken).ConfigureAwait(false);
        NodeHost node = NodeHost.Start(new NodeHostOptions
        {
            Tls = connector,
            Node = options.Node,
            Engine = options.Engine switch
            {
                EngineKind.Memory => "memory",
                EngineKind.Bitcask => "bitcask",
                EngineKind.RocksDb => "rocksdb",
                _ => "lsm",
            },
            EngineMemoryBytes = options.MemoryBytes,
            Scheduler = options.Scheduler switch
            {
                SchedulerKind.Pinned => "pinned",
                SchedulerKind.Queue => "queue",
                SchedulerKind.Thread => "thread",
                _ => "pool",
            },
            Logging = logging,
        });
        ServerMetrics metrics = new();
        OtlpExport? otlp = null;
        Logins? logins = null;
        try
        {
            if (options.OtlpEndpoint.Length > 0)
            {
                otlp = OtlpExport.Start(options.OtlpEndpoint, options.Node.Name, options.OtlpInterval, metrics);
            }

            // What doors see of the node is behind the check of who may do what.
            ILogger audit = AuditLogger.Over(logging.CreateLogger(ServerEvents.Access.Category), auditLog);
            logins = new Logins(
                node.Node,
                new Tokens(node.Node, () => node.Node.GetTopology().ClusterId, TimeProvider.System),
                new PasswordHashes(),
                audit)
            {
                Strangers = new Strangers(
                    options.Door.Port.UnauthenticatedConnections,
                    options.Door.Port.LoginTimeout,
                    ended: () => metrics.ConnectionRefused("login")),
            };
            GuardedNode guarded = new(node.Node, node.Node, audit: KeyAudit.Create(auditLog, options.Audit));
            List<IConnectionProtocol> protocols =
            [
                new PeerProtocol(node.Transport, logging.CreateLogger(ServerEvents.Peers.Category)) { NeedsCertificate = tls is not null },
                new RespProtocol(
                    guarded, metrics, options.Door.Resp, logging.CreateLogger(ServerEvents.Resp.Category), node.Node.Messages)
                {
                    Logins = logins,
                },
                new JsonLinesProtocol(guarded, metrics) { Logins = logins },
                .. ThriftProtocol.Both(guarded, metrics, logins, options.Door.Port),
            ];
            PeerMetrics.Observe(metrics.Meter, node.Node, node.Transport, node.Node.Messages);

            HengeServer server = new(
                guarded, options.Door, tls, protocols, logging: logging, metrics: metrics, logins: logins, audit: auditLog);
            ReadinessMonitor readiness = new(node.Node, server.SetProblem, new ReadinessLog(TimeProvider.System, problem =>
            {
                if (problem is null)
                {
                    ServerEvents.Node.Ready(logger);
                }
                else
                {
                    ServerEvents.Node.NotReady(logger, problem);
                }
            }));

            // The objects made at the start live as long as the process. Moved to the oldest generation now, before the first load comes,
            // they do not lengthen its first pauses.
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: true, compacting: true);
            try
            {
                await server.StartAsync(cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                await readiness.DisposeAsync().ConfigureAwait(false);
                await server.DisposeAsync().ConfigureAwait(false);
                throw;
            }

            ServerEvents.Node.Listening(logger, options.Node.Name, server.EndPoint.ToString());
            return new HengeHost(node, server, readiness, otlp, tls, auditLog, logins, logger);
        }
        catch
        {
            logins?.Dispose();
            otlp?.Dispose();
            metrics.Dispose();
            node.Dispose();
            throw;
        }
    }

    private void SetRootPassword(string password, ILogger logger) =>
        _settingRoot = RootPassword.SetAsync(_logins, password, () => _node.Node.MonotonicMs, logger, _stopping.Token);

    /// <summary>Takes no new callers, lets calls under way end, stops the node, closes its files.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        ServerEvents.Node.Stopping(_logger);
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _settingRoot.ConfigureAwait(false);
        _stopping.Dispose();
        await _readiness.DisposeAsync().ConfigureAwait(false);
        _otlp?.Dispose();
        await _server.StopAsync().ConfigureAwait(false);
        await _server.DisposeAsync().ConfigureAwait(false);
        _logins.Dispose();
        _node.Dispose();
        _tls?.Dispose();
        _auditLog?.Dispose();
        ServerEvents.Node.Stopped(_logger);
    }
}
