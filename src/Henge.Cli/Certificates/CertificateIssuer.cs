using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Henge.Cli.Outcome;
using Henge.Core;

namespace Henge.Cli.Certificates;

/// <summary>A certificate and its key, both as PEM.</summary>
internal sealed record IssuedCertificate(string Certificate, string Key);

/// <summary>
/// Makes certificates: an authority, and what it signs for nodes and users (docs/decisions/0207-certificates-of-a-cluster.md). All
/// keys are ECDSA over P-256. No files here.
/// </summary>
internal static class CertificateIssuer
{
    // Clocks of machines differ; a new certificate must be good on all of them at once.
    private static readonly TimeSpan Before = TimeSpan.FromHours(1);

    /// <summary>A new authority, which may sign certificates of nodes and users and no other authorities.</summary>
    public static IssuedCertificate CreateAuthority(DateTimeOffset now, int days)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

        // Two authorities that hold at once, as while one replaces the other, can be told apart by their names.
        string name = "CN=Henge CA " + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4));
        CertificateRequest request = new(new X500DistinguishedName(name), key, HashAlgorithmName.SHA256);
        return new IssuedCertificate(SignItself(request, key, now, days).ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }

    /// <summary>A node's certificate for these hosts, each an IP address or a name.</summary>
    public static IssuedCertificate CreateNode(Authority authority, IReadOnlyList<string> hosts, DateTimeOffset now, int days) =>
        Create(authority, CertificateIdentity.NodeName, CertificateKind.Node, NamesOf(hosts), now, days);

    /// <summary>A user's certificate, with which nobody can pass as a node.</summary>
    public static IssuedCertificate CreateClient(Authority authority, string user, DateTimeOffset now, int days) =>
        Create(authority, CheckUser(user), CertificateKind.Client, null, now, days);

    /// <summary>
    /// A certificate that takes the place of another: the same subject, the same names, the same key, and another time. An authority signs
    /// itself, so that what it has signed stays good.
    /// </summary>
    public static string Renew(X509Certificate2 old, Authority authority, DateTimeOffset now, int? days)
    {
        CertificateKind kind = CertificateDescription.KindOf(old);
        switch (kind)
        {
            case CertificateKind.Authority:
                if (!old.RawDataMemory.Span.SequenceEqual(authority.Certificate.RawDataMemory.Span))
                {
                    throw new UsageException("This authority's key is not here: the key in the directory is of another one.");
                }

                CertificateRequest again = new(old.SubjectName, authority.Key, HashAlgorithmName.SHA256);
                return SignItself(again, authority.Key, now, days ?? DaysOf(kind)).ExportCertificatePem();
            case CertificateKind.Node or CertificateKind.Client:
                X509SubjectAlternativeNameExtension? names =
                    old.Extensions.OfType<X509SubjectAlternativeNameExtension>().FirstOrDefault();
                CertificateRequest request = new(old.SubjectName, old.PublicKey, HashAlgorithmName.SHA256);
                return Sign(request, authority, kind, names, now, days ?? DaysOf(kind)).ExportCertificatePem();
            default:
                throw new UsageException("It is the certificate neither of an authority, nor of a node, nor of a user of Henge's kind.");
        }
    }

    /// <summary>How long a certificate of a kind is good when nobody says it: ten years, two, one.</summary>
    public static int DaysOf(CertificateKind kind) => kind switch
    {
        CertificateKind.Authority => 3653,
        CertificateKind.Node => 730,
        _ => 365,
    };

    /// <summary>A user's name that a certificate may carry. Throws <see cref="UsageException"/>.</summary>
    public static string CheckUser(string user) =>
        user.Length is 0 or > 64 || !user.All(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' or '@')
            ? throw new UsageException(
                $"\"{user}\" is no name of a user: write 1 to 64 letters, digits and the characters . _ - @")
        : user.Equals(CertificateIdentity.NodeName, StringComparison.OrdinalIgnoreCase)
            ? throw new UsageException(
                $"The name {CertificateIdentity.NodeName} is that of the nodes, and no user may have it. A node's certificate is made "
                    + "by: henge cert create-node HOST")
        : user;

    private static IssuedCertificate Create(
        Authority authority,
        string name,
        CertificateKind kind,
        X509Extension? names,
        DateTimeOffset now,
        int days)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        X500DistinguishedNameBuilder subject = new();
        subject.AddCommonName(name);
        CertificateRequest request = new(subject.Build(), key, HashAlgorithmName.SHA256);
        using X509Certificate2 certificate = Sign(request, authority, kind, names, now, days);
        return new IssuedCertificate(certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }

    private static X509Certificate2 SignItself(CertificateRequest request, ECDsa key, DateTimeOffset now, int days)
    {
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, true));
        request.CertificateExtensions.Add(
            new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        return request.Create(
            request.SubjectName, X509SignatureGenerator.CreateForECDsa(key), now - Before, now.AddDays(days), NewSerial());
    }

    private static X509Certificate2 Sign(
        CertificateRequest request,
        Authority authority,
        CertificateKind kind,
        X509Extension? names,
        DateTimeOffset now,
        int days)
    {
        DateTimeOffset end = now.AddDays(days);
        DateTimeOffset last = authority.Certificate.NotAfter;
        if (last <= now)
        {
            throw new UsageException(
                $"The authority's certificate has expired on {last:yyyy-MM-dd}, and so would be what it signs. Renew it first: henge "
                    + "cert renew ca.crt");
        }

        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        OidCollection usages = [new Oid(CertificateIdentity.ClientUsage)];
        if (kind == CertificateKind.Node)
        {
            usages.Add(new Oid(CertificateIdentity.ServerUsage));
        }

        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension(usages, critical: false));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        request.CertificateExtensions.Add(
            X509AuthorityKeyIdentifierExtension.CreateFromCertificate(
                authority.Certificate, includeKeyIdentifier: true, includeIssuerAndSerial: false));
        if (names is not null)
        {
            request.CertificateExtensions.Add(names);
        }

        return request.Create(
            authority.Certificate.SubjectName,
            X509SignatureGenerator.CreateForECDsa(authority.Key),
            now - Before,
            end < last ? end : last,
            NewSerial());
    }

    private static X509Extension NamesOf(IReadOnlyList<string> hosts)
    {
        SubjectAlternativeNameBuilder names = new();
        foreach (string host in hosts)
        {
            if (IPAddress.TryParse(host.Trim('[', ']'), out IPAddress? address))
            {
                if (address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any))
                {
                    throw new UsageException($"{host} is no address that anybody connects to. Name those by which the node is reached.");
                }

                names.AddIpAddress(address);
            }
            else if (Uri.CheckHostName(host) == UriHostNameType.Dns)
            {
                names.AddDnsName(host);
            }
            else
            {
                throw new UsageException(
                    $"\"{host}\" is neither an IP address nor the name of a host. Write it without a port, as in db1.example or 10.0.0.1.");
            }
        }

        return names.Build();
    }

    // Positive, and of 16 bytes, most of which nobody can guess (CA/Browser Forum baseline requirements, section 7.1).
    private static byte[] NewSerial()
    {
        byte[] serial = RandomNumberGenerator.GetBytes(16);
        serial[0] = (byte)((serial[0] & 0x3f) | 0x40);
        return serial;
    }
}

/// <summary>An authority with its key.</summary>
internal sealed record Authority(X509Certificate2 Certificate, ECDsa Key) : IDisposable
{
    public void Dispose()
    {
        Certificate.Dispose();
        Key.Dispose();
    }
}
