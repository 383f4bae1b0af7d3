using System.Security.Cryptography.X509Certificates;
using Henge.Core;
using Microsoft.AspNetCore.Http.Features;

namespace Henge.Server.Tls;

/// <summary>
/// Who is at the other end of a connection, as its TLS handshake has proved. A feature of the connection, so that every door has it: RESP,
/// JSON lines, Thrift and peers by <c>ConnectionContext.Features</c>, HTTP and gRPC by <c>HttpContext.Features</c>, which falls back to the
/// connection's. Immutable.
/// </summary>
internal sealed class ConnectionIdentity
{
    private ConnectionIdentity(X509Certificate2? certificate)
    {
        Certificate = certificate;
        IsNode = certificate is not null && CertificateIdentity.IsNode(certificate);
        string? name = certificate is null ? null : CertificateIdentity.NameOf(certificate);
        User = name == CertificateIdentity.NodeName ? null : name;
    }

    /// <summary>Somebody without a certificate.</summary>
    public static ConnectionIdentity Anonymous { get; } = new(null);

    /// <summary>The certificate, which chains to an authority that this node trusts; null: none was shown.</summary>
    public X509Certificate2? Certificate { get; }

    /// <summary>True for a node of the cluster.</summary>
    public bool IsNode { get; }

    /// <summary>The user's name; null for nodes, and for whoever has shown no certificate with a name.</summary>
    public string? User { get; }

    /// <summary>The one of a certificate that has been verified.</summary>
    public static ConnectionIdentity Of(X509Certificate2 verified) => new(verified);

    /// <summary>That of a connection, or of a request's connection.</summary>
    public static ConnectionIdentity Of(IFeatureCollection features) => features.Get<ConnectionIdentity>() ?? Anonymous;
}
