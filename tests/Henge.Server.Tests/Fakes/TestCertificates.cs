using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Henge.Core;
using Henge.Server.Tls;

namespace Henge.Server.Tests.Fakes;

/// <summary>An authority and what it signs, in files that go with it.</summary>
internal sealed class TestCertificates : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("henge-tls-");
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 _authority;

    public TestCertificates()
    {
        CertificateRequest request = new("CN=test authority", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, true));
        _authority = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(3650));
        File.WriteAllText(FileOf("ca.crt"), _authority.ExportCertificatePem());
    }

    public string FileOf(string name) => Path.Combine(_directory.FullName, name);

    /// <summary>Signs a certificate for this machine, in the place of one that was there; gives its serial number.</summary>
    public string Sign(string name, string subject, DateTimeOffset end, bool isNode = true)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new(subject, key, HashAlgorithmName.SHA256);
        OidCollection usages = [new Oid(CertificateIdentity.ClientUsage)];
        if (isNode)
        {
            usages.Add(new Oid(CertificateIdentity.ServerUsage));
        }

        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension(usages, false));
        SubjectAlternativeNameBuilder names = new();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using X509Certificate2 certificate =
            request.Create(_authority, DateTimeOffset.UtcNow.AddDays(-1), end, RandomNumberGenerator.GetBytes(8));
        File.WriteAllText(FileOf(name + ".crt"), certificate.ExportCertificatePem());
        File.WriteAllText(FileOf(name + ".key"), key.ExportPkcs8PrivateKeyPem());
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(FileOf(name + ".key"), KeyFile.Mode);
        }

        return certificate.SerialNumber;
    }

    public TlsSettings Settings(string name, bool isForPeers = true) => new()
    {
        CertificateFile = FileOf(name + ".crt"),
        KeyFile = FileOf(name + ".key"),
        AuthorityFile = FileOf("ca.crt"),
        ClientAuthentication = TlsClientAuthentication.Require,
        IsForPeers = isForPeers,
    };

    public void Dispose()
    {
        _authority.Dispose();
        _key.Dispose();
        _directory.Delete(recursive: true);
    }
}
