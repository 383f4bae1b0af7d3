using System.Net.Security;
using Henge.Cli.Certificates;
using Henge.Client;

namespace Henge.Tool.Dev;

/// <summary>The certificates of <c>henge dev --tls</c>: one for all nodes, which are all on this machine, and one for a user.</summary>
internal sealed class DevCertificates
{
    private const string NodeFile = "node";
    private const string User = "dev";

    private readonly string _directory;

    private DevCertificates(string directory) => _directory = directory;

    /// <summary>The settings of each node.</summary>
    public string[] Settings =>
        ["--tls-cert", FileOf(NodeFile + ".crt"), "--tls-key", FileOf(NodeFile + ".key"), "--tls-ca", FileOf("ca.crt")];

    /// <summary>What a shell says before it calls the nodes.</summary>
    public string Exports =>
        $"export HENGE_TLS_CA={FileOf("ca.crt")} HENGE_TLS_CERT={FileOf($"client.{User}.crt")} "
        + $"HENGE_TLS_KEY={FileOf($"client.{User}.key")}";

    /// <summary>Those in a directory, made where they are not there.</summary>
    public static DevCertificates In(string directory, DateTimeOffset now)
    {
        CertificateDirectory certificates = new(directory);
        DevCertificates made = new(Path.GetFullPath(directory));
        if (!made.Has(CertificateDirectory.AuthorityName))
        {
            certificates.Add(
                CertificateDirectory.AuthorityName,
                CertificateIssuer.CreateAuthority(now, CertificateIssuer.DaysOf(CertificateKind.Authority)));
        }

        using Authority authority = certificates.ReadAuthority();
        if (!made.Has(NodeFile))
        {
            certificates.Add(
                NodeFile,
                CertificateIssuer.CreateNode(
                    authority, ["127.0.0.1", "localhost", "::1"], now, CertificateIssuer.DaysOf(CertificateKind.Node)));
        }

        if (!made.Has("client." + User))
        {
            certificates.Add(
                "client." + User,
                CertificateIssuer.CreateClient(authority, User, now, CertificateIssuer.DaysOf(CertificateKind.Client)));
        }

        return made;
    }

    /// <summary>TLS of a client.</summary>
    public SslClientAuthenticationOptions ForClient() =>
        HengeTls.FromFiles(FileOf("ca.crt"), FileOf($"client.{User}.crt"), FileOf($"client.{User}.key"));

    private bool Has(string name) => File.Exists(FileOf(name + ".crt"));

    private string FileOf(string name) => Path.Combine(_directory, name);
}
