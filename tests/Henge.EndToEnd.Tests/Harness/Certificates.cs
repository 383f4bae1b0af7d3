using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Henge.Client;

namespace Henge.EndToEnd.Tests.Harness;

/// <summary>A directory of certificates, made by <c>henge cert</c> and removed with it.</summary>
public sealed class Certificates : IDisposable
{
    private const string Host = "127.0.0.1";
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("henge-e2e-certs-");
    private readonly CancellationToken _cancel;

    private Certificates(CancellationToken cancel) => _cancel = cancel;

    /// <summary>An authority with certificates of nodes of these names, and of a client named <c>tester</c>.</summary>
    public static async Task<Certificates> CreateAsync(CancellationToken cancel, params string[] nodes)
    {
        Certificates made = new(cancel);
        await made.DoAsync("create-ca");
        foreach (string node in nodes)
        {
            await made.AddNodeAsync(node);
        }

        await made.DoAsync("create-client", "tester");
        return made;
    }

    /// <summary>The path of a file.</summary>
    public string FileOf(string name) => Path.Combine(_directory.FullName, name);

    /// <summary>Makes the certificate of one node more.</summary>
    public Task AddNodeAsync(string name) => DoAsync("create-node", Host, "localhost", "--name", name);

    /// <summary>Runs a command of <c>henge cert</c> that must succeed.</summary>
    public async Task DoAsync(params string[] arguments)
    {
        using HengeProcess process = HengeProcess.Start(["cert", .. arguments, "--certs-dir", _directory.FullName]);
        int exitCode = await process.WaitForExitAsync(_cancel);
        Assert.True(exitCode == 0, process.Printed);
    }

    /// <summary>The settings of a node with the certificate of a name.</summary>
    public string[] ArgumentsOf(string name) =>
        ["--tls-cert", FileOf(name + ".crt"), "--tls-key", FileOf(name + ".key"), "--tls-ca", FileOf("ca.crt")];

    /// <summary>TLS of a client; null as its name: without a certificate.</summary>
    public SslClientAuthenticationOptions ForClient(string? certificate = "client.tester") =>
        certificate is null
            ? HengeTls.FromFiles(FileOf("ca.crt"))
            : HengeTls.FromFiles(FileOf("ca.crt"), FileOf(certificate + ".crt"), FileOf(certificate + ".key"));

    /// <summary>The certificate of a name, as it is now.</summary>
    public X509Certificate2 Read(string name) => X509CertificateLoader.LoadCertificateFromFile(FileOf(name + ".crt"));

    /// <inheritdoc/>
    public void Dispose() => _directory.Delete(recursive: true);
}
