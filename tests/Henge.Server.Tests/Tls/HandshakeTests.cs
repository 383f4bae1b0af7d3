using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Henge.Server.Resp;
using Henge.Server.Tests.Fakes;
using Henge.Server.Tests.Grpc;
using Henge.Server.Tls;

namespace Henge.Server.Tests.Tls;

/// <summary>What a client may show of itself in a handshake: no more than a certificate takes.</summary>
public sealed class HandshakeTests : IDisposable
{
    private static readonly DateTimeOffset From = DateTimeOffset.UtcNow.AddDays(-1), Until = DateTimeOffset.UtcNow.AddDays(10);
    private readonly TestCertificates _certificates = new();

    public void Dispose() => _certificates.Dispose();

    [Theory]
    [InlineData("an oversized certificate", 0, 300_000)]
    [InlineData("a chain of many certificates", 60, 0)]
    [InlineData("an oversized chain", 30, 10_000)]
    public async Task A_client_that_shows_too_much_is_refused_and_others_are_served(string what, int between, int bytesOfEach)
    {
        _certificates.Sign("n", "CN=node", Until);
        _certificates.Sign("alice", "CN=alice", Until, isNode: false);
        FakeNode node = new();
        await using RunningServer server = await RunningServer.StartAsync(
            node,
            o => o with
            {
                TlsCertificateFile = _certificates.FileOf("n.crt"),
                TlsKeyFile = _certificates.FileOf("n.key"),
                TlsAuthorityFile = _certificates.FileOf("ca.crt"),
                TlsClientAuthentication = TlsClientAuthentication.Require,
            },
            [new RespProtocol(node)]);
        (X509Certificate2 large, X509Certificate2Collection chain) = Chain(between, bytesOfEach);
        SslStreamCertificateContext shown = SslStreamCertificateContext.Create(large, chain, offline: true);
        Assert.True(between == 0 || shown.IntermediateCertificates.Count >= between, what);
        Assert.Equal("", await PingAsync(server, shown));
        await GrpcRulesTests.Until(() => server.Server.OpenConnections == 0);
        using X509Certificate2 alice = X509Certificate2.CreateFromPemFile(
            _certificates.FileOf("alice.crt"), _certificates.FileOf("alice.key"));
        Assert.Equal("+PONG\r\n", await PingAsync(server, SslStreamCertificateContext.Create(alice, null, offline: true)));
    }

    private static async Task<string> PingAsync(RunningServer server, SslStreamCertificateContext shown)
    {
        using CancellationTokenSource patience = new(RunningServer.Patience);
        using TcpClient client = new();
        await client.ConnectAsync(server.Server.EndPoint, patience.Token);
        await using SslStream stream = new(client.GetStream());
        try
        {
            await stream.AuthenticateAsClientAsync(
                new SslClientAuthenticationOptions
                {
                    TargetHost = "localhost",
                    ClientCertificateContext = shown,
                    RemoteCertificateValidationCallback = static (_, certificate, _, _) => certificate is not null,
                },
                patience.Token);
            await stream.WriteAsync("PING\r\n"u8.ToArray(), patience.Token);
            byte[] answer = new byte[7];
            int read = await stream.ReadAtLeastAsync(answer, 7, throwOnEndOfStream: false, patience.Token);
            return Encoding.ASCII.GetString(answer, 0, read);
        }
        catch (Exception e) when (e is AuthenticationException or IOException)
        {
            return "";
        }
    }

    /// <summary>A certificate with so many authorities above it, below one that nobody knows.</summary>
    private static (X509Certificate2 Leaf, X509Certificate2Collection Chain) Chain(int between, int bytesOfEach)
    {
        X509Certificate2Collection chain = [];
        ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        X509Certificate2 above = Request("CN=authority", key, isAuthority: true, 0).CreateSelfSigned(From, Until);
        chain.Add(above);
        for (int i = 0; i <= between; i++)
        {
            ECDsa own = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            CertificateRequest request = Request(i == between ? "CN=alice" : $"CN=between {i}", own, i < between, bytesOfEach);
            using X509Certificate2 signed = request.Create(above, From, Until, RandomNumberGenerator.GetBytes(8));
            above = signed.CopyWithPrivateKey(own);
            if (i < between)
            {
                chain.Add(above);
            }
        }

        return (above, chain);
    }

    private static CertificateRequest Request(string subject, ECDsa key, bool isAuthority, int bytes)
    {
        CertificateRequest request = new(subject, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(isAuthority, false, 0, true));
        if (bytes > 0)
        {
            request.CertificateExtensions.Add(new X509Extension("1.3.6.1.4.1.99999.1", new byte[bytes], critical: false));
        }

        return request;
    }
}
