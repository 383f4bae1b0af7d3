using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Henge.Client.Retry;
using Henge.Client.Tests.Cli;
using Henge.Client.Tests.Fakes;

namespace Henge.Client.Tests;

public sealed class TlsTests
{
    internal static X509Certificate2 SelfSigned()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=localhost", key, HashAlgorithmName.SHA256);
        SubjectAlternativeNameBuilder names = new();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        DateTimeOffset now = DateTimeOffset.UtcNow;
        using X509Certificate2 certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pfx), null);
    }

    [Fact]
    public async Task A_client_speaks_TLS_with_a_node_that_it_trusts_and_with_no_other()
    {
        using X509Certificate2 certificate = SelfSigned();
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await FakeNode.StartAsync(store.HandleAsync, certificate: certificate);
        HengeClientOptions Options(SslClientAuthenticationOptions? tls) => new()
        {
            Peers = [node.Address],
            RouteToLeaders = false,
            RetryBudget = 0,
            Tls = tls,
        };

        X509ChainPolicy policy = new() { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.Add(certificate);
        using (HengeClient trusting = new(Options(new SslClientAuthenticationOptions { CertificateChainPolicy = policy })))
        {
            Assert.True((await trusting.PutAsync("a", "1")).Succeeded);
        }

        using HengeClient wary = new(Options(new SslClientAuthenticationOptions()));
        await Assert.ThrowsAsync<UnavailableException>(async () => await wary.GetAsync("a"));
        using HengeClient cleartext = new(Options(null));
        await Assert.ThrowsAnyAsync<Core.HengeException>(async () => await cleartext.GetAsync("a"));
    }

    [Fact]
    public async Task The_command_line_trusts_the_certificates_of_a_file()
    {
        using X509Certificate2 certificate = SelfSigned();
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await FakeNode.StartAsync(store.HandleAsync, certificate: certificate);
        string file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, certificate.ExportCertificatePem());

            Assert.Equal(0, (await CliRun.RunAsync(node.Address, ["put", "a", "1", "--tls-ca", file])).ExitCode);
            Ran wary = await CliRun.RunAsync(node.Address, ["get", "a", "--tls", "--timeout", "300ms"]);
            Assert.Equal(3, wary.ExitCode);
            Assert.Contains("Trust the authority of the nodes with --tls-ca", wary.Error, StringComparison.Ordinal);
            await File.WriteAllTextAsync(file, "no certificate");
            Assert.Equal(2, (await CliRun.RunAsync(node.Address, ["get", "a", "--tls-ca", file])).ExitCode);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
