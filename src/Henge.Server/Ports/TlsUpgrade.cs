using System.IO.Pipelines;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Henge.Server.Events;
using Henge.Server.Metrics;
using Henge.Server.Tls;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Ports;

/// <summary>
/// Ends TLS in front of the sniffer, so that all protocols are behind it alike. Kestrel's own HTTPS middleware comes with its host only;
/// this is <see cref="SslStream"/> between the connection's pipes. Leaves a <see cref="ConnectionIdentity"/> on the connection.
/// </summary>
internal sealed class TlsUpgrade(TlsFiles files, PortLimits limits, ServerMetrics metrics, ILogger logger)
{
    /// <summary>Kestrel's HTTP/2 insists on ALPN behind TLS; the first bytes have said the same, also for callers without ALPN.</summary>
    public static void ClaimHttp2(ConnectionContext connection)
    {
        if (connection.Features.Get<ITlsConnectionFeature>() is TlsFeature)
        {
            connection.Features.Set<ITlsApplicationProtocolFeature>(Http2Feature.Instance);
        }
    }

    public async Task RunAsync(ConnectionContext connection, Func<ConnectionContext, Task> next)
    {
        IDuplexPipe outer = connection.Transport;
        await using SslStream stream = new(new DuplexPipeStream(outer), leaveInnerStreamOpen: false);
        using CancellationTokenSource timeout = new(limits.TlsHandshakeTimeout);
        string? problem = null;
        try
        {
            await stream.AuthenticateAsServerAsync(files.Current.ForServer(found => problem = found), timeout.Token);
        }
        catch (Exception e)
            when (e
                    is AuthenticationException
                        or IOException
                        or OperationCanceledException
                        or ConnectionResetException
                        or ConnectionAbortedException)
        {
            metrics.ConnectionRefused("tls");
            ServerEvents.Tls.TlsHandshakeFailed(logger, connection.RemoteEndPoint?.ToString() ?? "?", problem ?? e.Message.TrimEnd('.'));
            return;
        }

        TlsPipe inner = new(stream);
        var certificate = stream.RemoteCertificate as X509Certificate2;
        connection.Transport = inner;
        connection.Features.Set<ITlsConnectionFeature>(new TlsFeature(certificate));
        connection.Features.Set(certificate is null ? ConnectionIdentity.Anonymous : ConnectionIdentity.Of(certificate));
        try
        {
            await next(connection);
        }
        finally
        {
            // Completing the writer flushes what the protocol left in it; without this the last frames would be lost.
            await inner.Output.CompleteAsync();
            await inner.Input.CompleteAsync();
            connection.Transport = outer;
        }
    }

    private sealed class TlsPipe(SslStream stream) : IDuplexPipe
    {
        public PipeReader Input { get; } = PipeReader.Create(stream, new StreamPipeReaderOptions(leaveOpen: true, bufferSize: 16 * 1024));

        public PipeWriter Output { get; } = PipeWriter.Create(stream, new StreamPipeWriterOptions(leaveOpen: true));
    }

    private sealed class Http2Feature : ITlsApplicationProtocolFeature
    {
        public static Http2Feature Instance { get; } = new();

        public ReadOnlyMemory<byte> ApplicationProtocol => SslApplicationProtocol.Http2.Protocol;
    }

    /// <summary>Says that the connection is behind TLS, which makes its scheme https, and by which certificate of the client.</summary>
    private sealed class TlsFeature(X509Certificate2? certificate) : ITlsConnectionFeature
    {
        public X509Certificate2? ClientCertificate
        {
            get => certificate;
            set => throw new NotSupportedException("The handshake says which certificate the client has.");
        }

        public Task<X509Certificate2?> GetClientCertificateAsync(CancellationToken cancellationToken) => Task.FromResult(certificate);
    }
}
