using System.IO.Pipelines;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Henge.Server.Metrics;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Henge.Server.Ports;

/// <summary>
/// Ends TLS in front of the sniffer, so that all protocols are behind it alike. Kestrel's own HTTPS middleware comes with its host only;
/// this is <see cref="SslStream"/> between the connection's pipes.
/// </summary>
internal sealed class TlsUpgrade(X509Certificate2 certificate, X509Certificate2Collection chain, PortLimits limits, ServerMetrics metrics)
{
    private readonly SslServerAuthenticationOptions _options = new()
    {
        ServerCertificateContext = SslStreamCertificateContext.Create(certificate, chain, offline: true),
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
    };

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
        try
        {
            await stream.AuthenticateAsServerAsync(_options, timeout.Token);
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
            return;
        }

        TlsPipe inner = new(stream);
        connection.Transport = inner;
        connection.Features.Set<ITlsConnectionFeature>(TlsFeature.Instance);
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

    /// <summary>Says that the connection is behind TLS, which makes its scheme https. Client certificates are not asked for.</summary>
    private sealed class TlsFeature : ITlsConnectionFeature
    {
        public static TlsFeature Instance { get; } = new();

        public X509Certificate2? ClientCertificate
        {
            get => null;
            set => throw new NotSupportedException("Client certificates are not asked for.");
        }

        public Task<X509Certificate2?> GetClientCertificateAsync(CancellationToken cancellationToken) =>
            Task.FromResult<X509Certificate2?>(null);
    }
}
