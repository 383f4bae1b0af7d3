using System.Net.Security;
using System.Net.Sockets;
using Grpc.Net.Client;
using Henge.Server.Tls;

namespace Henge.Server.Cluster;

/// <summary>
/// How nodes call each other by gRPC. TLS is begun where the connection is made, by the files as they are then: the handler's own TLS
/// settings are fixed with its first request.
/// </summary>
internal static class NodeHttp
{
    /// <summary>Makes a handler for calls to any node.</summary>
    public static SocketsHttpHandler CreateHandler(TlsConnector? tls, TimeSpan connectTimeout)
    {
        SocketsHttpHandler handler = new()
        {
            ConnectTimeout = connectTimeout,
            PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1),
            UseProxy = false,
            AllowAutoRedirect = false,
        };
        if (tls is not null)
        {
            handler.ConnectCallback = (context, cancellation) => ConnectAsync(tls, context, cancellation);
        }

        return handler;
    }

    /// <summary>A channel to the node at an address, which does not own the handler. The scheme says nothing of TLS: see above.</summary>
    public static GrpcChannel Open(string address, SocketsHttpHandler handler) =>
        GrpcChannel.ForAddress("http://" + address, new GrpcChannelOptions { HttpHandler = handler });

    private static async ValueTask<Stream> ConnectAsync(
        TlsConnector tls,
        SocketsHttpConnectionContext context,
        CancellationToken cancellation)
    {
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(context.DnsEndPoint, cancellation);
            return await tls.ConnectAsync(
                new NetworkStream(socket, ownsSocket: true),
                context.DnsEndPoint.Host.Trim('[', ']'),
                SslApplicationProtocol.Http2,
                cancellation);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
