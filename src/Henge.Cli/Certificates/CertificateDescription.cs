using System.Security.Cryptography.X509Certificates;
using Henge.Core;

namespace Henge.Cli.Certificates;

/// <summary>What a certificate is for.</summary>
internal enum CertificateKind
{
    /// <summary>Something else.</summary>
    Other,
    /// <summary>It signs others.</summary>
    Authority,
    /// <summary>A node's.</summary>
    Node,
    /// <summary>A user's.</summary>
    Client,
}

/// <summary>What a certificate says, for people and scripts.</summary>
internal sealed record CertificateDescription
{
    /// <summary>From how many days before its end a certificate is to be renewed.</summary>
    public const int NearDays = 30;

    public required string File { get; init; }

    public required CertificateKind Kind { get; init; }

    public required string Subject { get; init; }

    /// <summary>The node's or user's name; null when it says none.</summary>
    public string? Name { get; init; }

    /// <summary>Addresses and names of hosts that it is good for.</summary>
    public IReadOnlyList<string> Hosts { get; init; } = [];

    public required DateTimeOffset NotBefore { get; init; }

    public required DateTimeOffset NotAfter { get; init; }

    /// <summary>Whole days until its end; less than zero when it is over.</summary>
    public required int DaysLeft { get; init; }

    public required string Issuer { get; init; }

    public required string Serial { get; init; }

    /// <summary>True when it is time to renew it, or too late.</summary>
    public bool IsNearItsEnd => DaysLeft < NearDays;

    /// <summary>The word for its kind.</summary>
    public string KindName => Kind switch
    {
        CertificateKind.Authority => "ca",
        CertificateKind.Node => "node",
        CertificateKind.Client => "client",
        _ => "other",
    };

    public static CertificateDescription Of(string file, X509Certificate2 certificate, DateTimeOffset now)
    {
        X509SubjectAlternativeNameExtension? names =
            certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().FirstOrDefault();
        DateTimeOffset end = certificate.NotAfter;
        return new CertificateDescription
        {
            File = file,
            Kind = KindOf(certificate),
            Subject = certificate.Subject,
            Name = CertificateIdentity.NameOf(certificate),
            Hosts =
                names is null ? [] : [.. names.EnumerateDnsNames(), .. names.EnumerateIPAddresses().Select(static a => a.ToString())],
            NotBefore = certificate.NotBefore,
            NotAfter = end,
            DaysLeft = (int)Math.Floor((end - now).TotalDays),
            Issuer = certificate.Issuer,
            Serial = certificate.SerialNumber,
        };
    }

    public static CertificateKind KindOf(X509Certificate2 certificate) =>
        certificate.Extensions.OfType<X509BasicConstraintsExtension>().Any(static b => b.CertificateAuthority) ? CertificateKind.Authority
        : CertificateIdentity.IsNode(certificate) ? CertificateKind.Node
        : CertificateIdentity.NameOf(certificate) is not (null or CertificateIdentity.NodeName)
            && certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>().Any()
            && CertificateIdentity.MayBeUsedAs(certificate, CertificateIdentity.ClientUsage)
            && !CertificateIdentity.MayBeUsedAs(certificate, CertificateIdentity.ServerUsage) ? CertificateKind.Client
        : CertificateKind.Other;
}
