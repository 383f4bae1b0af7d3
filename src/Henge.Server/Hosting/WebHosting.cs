using System.Net;
using Grpc.Reflection;
using Henge.Server.Access;
using Henge.Server.Calls;
using Henge.Server.Operations;
using Henge.Server.Ports;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.OpenApi;
using ProtoServiceDescriptor = Google.Protobuf.Reflection.ServiceDescriptor;

namespace Henge.Server.Hosting;

/// <summary>
/// Sets up ASP.NET Core for a node: Kestrel behind the port's dispatcher, and the options of gRPC and HTTP. Nothing listens yet.
/// </summary>
internal static class WebHosting
{
    /// <summary>The application, without endpoints.</summary>
    public static WebApplication Create(
        DoorOptions options, HealthState health, ILoggerFactory logging, Logins? logins, Action<KestrelServerOptions> listen)
    {
        // Empty: settings of ours alone count, and nothing is read from the process's surroundings.
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(
            new WebApplicationOptions { EnvironmentName = Environments.Production });
        builder.Services.Replace(ServiceDescriptor.Singleton(logging)); // Its filters decide what the web server logs.
        builder.WebHost.UseKestrelCore();
        builder.Services.AddSingleton<IHostLifetime, HostedByCaller>();
        builder.Services.AddSingleton<IConnectionListenerFactory, HandoffListenerFactory>();
        builder.Services.Configure<SocketTransportOptions>(static sockets =>
        {
            sockets.Backlog = 1024;
            sockets.WaitForDataBeforeAllocatingBuffer = false;
        });
        builder.Services.Configure<KestrelServerOptions>(kestrel =>
        {
            SetLimits(kestrel, options.Http);
            listen(kestrel);
        });
        builder.Services.AddRoutingCore();
        AddGrpc(builder.Services, options.Grpc);
        AddHealth(builder.Services, health);
        if (logins is not null)
        {
            AddAuthentication(builder.Services, logins, options);
        }

        AddReflection(builder.Services);
        builder.Services.AddOpenApi(static api =>
            api.AddDocumentTransformer(
                static (document, _, _) =>
                {
                    document.Info = new OpenApiInfo
                    {
                        Title = "Henge",
                        Version = Product.Version,
                        Description = "A distributed, linearizable key-value store. docs/protocol.md says more.",
                    };
                    return Task.CompletedTask;
                }));
        return builder.Build();
    }

    private static void AddGrpc(IServiceCollection services, GrpcLimits limits) => services.AddGrpc(grpc =>
    {
        grpc.MaxReceiveMessageSize = limits.MessageBytes;
        // Its endpoints for these are candidates at every path, so that routing would have to choose for each call (docs/decisions/0175).
        grpc.IgnoreUnknownServices = true;
        grpc.MaxSendMessageSize = null; // Answers have bounds of their own: of values, and of pages.
        grpc.CompressionProviders.Clear();
        grpc.CompressionProviders.Add(new GzipMessages(limits.MessageBytes));
    });

    private static void AddAuthentication(IServiceCollection services, Logins logins, DoorOptions options)
    {
        ExternalIssuer issuer = options.OidcAuthority.Length == 0
            ? ExternalIssuer.None
            : new ExternalIssuer(options.OidcAuthority, options.OidcAudience, options.OidcUserClaim);
        services.AddSingleton(logins);
        services.AddSingleton(issuer);
        AuthenticationBuilder schemes = services.AddAuthentication(CallerHandler.Name)
            .AddScheme<AuthenticationSchemeOptions, CallerHandler>(CallerHandler.Name, null);
        if (issuer.IsSet)
        {
            schemes.AddJwtBearer(jwt =>
            {
                jwt.Authority = issuer.Authority;
                jwt.Audience = issuer.Audience;
                jwt.MapInboundClaims = false;
                jwt.IncludeErrorDetails = false;

                // In the clear only on this machine: whoever can change the answer can be anybody.
                jwt.RequireHttpsMetadata = !(Uri.TryCreate(issuer.Authority, UriKind.Absolute, out Uri? uri) && uri.IsLoopback);
            });
        }
    }

    private static void AddHealth(IServiceCollection services, HealthState health)
    {
        services.AddGrpcHealthChecks(grpc =>
        {
            foreach (string name in ServedServices.Names)
            {
                grpc.Services.Map(name, static _ => true);
            }
        }).AddCheck("node", new NodeHealthCheck(health));

        // The state is told at each change; asking for it now and then would tell it late.
        services.RemoveAll<IHealthCheckPublisher>();
    }

    private static void AddReflection(IServiceCollection services)
    {
        // The library finds descriptors by the types of services; ours are definitions, of which one is served under two names.
        ProtoServiceDescriptor[] descriptors = [.. ServedServices.Descriptors];
        services.AddSingleton(new ReflectionServiceImpl(descriptors));
        services.AddSingleton(new ReflectionV1ServiceImpl(descriptors));
        services.AddGrpcReflection();
    }

    private static void SetLimits(KestrelServerOptions kestrel, HttpLimits http)
    {
        kestrel.AddServerHeader = false;

        // Behind TLS or a proxy the caller's idea of the scheme is its own business.
        kestrel.AllowAlternateSchemes = true;
        KestrelServerLimits limits = kestrel.Limits;
        limits.MaxConcurrentConnections = null; // The dispatcher counts, before HTTP begins.
        limits.MaxRequestBodySize = null; // Streams have no size; messages have their own limit, and HTTP/1.1 endpoints theirs.
        limits.MaxRequestHeadersTotalSize = http.HeaderBytes;
        limits.MaxRequestHeaderCount = http.HeaderCount;
        limits.MaxRequestLineSize = Math.Max(8 * 1024, http.HeaderBytes);
        limits.KeepAliveTimeout = http.IdleTimeout;
        limits.RequestHeadersTimeout = http.HeadersTimeout;
        limits.MinResponseDataRate = null; // It would cut a whole connection for one slow watcher; streams have a bound of their own.
        limits.Http2.MaxStreamsPerConnection = http.StreamsPerConnection;
        limits.Http2.InitialConnectionWindowSize = http.ConnectionWindowBytes;
        limits.Http2.InitialStreamWindowSize = http.StreamWindowBytes;
        limits.Http2.KeepAlivePingDelay = http.KeepAlivePingDelay;
        limits.Http2.KeepAlivePingTimeout = http.KeepAlivePingTimeout;
    }

    /// <summary>Whoever made the server says when it ends: not the terminal, and not a signal.</summary>
    private sealed class HostedByCaller : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
