using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Henge.Core;

/// <summary>
/// Who a certificate says that its holder is. Whether that is true, a chain to an authority decides, which is not looked at here. Pure
/// functions.
/// </summary>
public static class CertificateIdentity
{
    /// <summary>The common name of every node's certificate; no user may have it.</summary>
    public const string NodeName = "node";

    /// <summary>The usage "proves the identity of a server" (RFC 5280, section 4.2.1.12).</summary>
    public const string ServerUsage = "1.3.6.1.5.5.7.3.1";

    /// <summary>The usage "proves the identity of a client" (RFC 5280, section 4.2.1.12).</summary>
    public const string ClientUsage = "1.3.6.1.5.5.7.3.2";

    private const string CommonName = "2.5.4.3";

    /// <summary>
    /// The common name of the subject; null when it has none, or more than one, of which nobody could say which one counts.
    /// </summary>
    public static string? NameOf(X509Certificate2 certificate)
    {
        string? found = null;
        try
        {
            foreach (X500RelativeDistinguishedName part in certificate.SubjectName.EnumerateRelativeDistinguishedNames())
            {
                if (part.HasMultipleElements)
                {
                    return null;
                }

                if (part.GetSingleElementType().Value == CommonName)
                {
                    if (found is not null)
                    {
                        return null;
                    }

                    found = part.GetSingleElementValue();
                }
            }
        }
        catch (CryptographicException)
        {
            return null;
        }

        return string.IsNullOrEmpty(found) ? null : found;
    }

    /// <summary>True when the certificate may be used so: it names the usage, or names no usages at all.</summary>
    public static bool MayBeUsedAs(X509Certificate2 certificate, string usage)
    {
        X509EnhancedKeyUsageExtension? usages = certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>().FirstOrDefault();
        return usages is null || usages.EnhancedKeyUsages.Cast<Oid>().Any(oid => oid.Value == usage);
    }

    /// <summary>
    /// True for the certificate of a node: its name is <see cref="NodeName"/>, and it may be used on both ends of a connection. A user's
    /// certificate is for clients alone.
    /// </summary>
    public static bool IsNode(X509Certificate2 certificate) =>
        NameOf(certificate) == NodeName && MayBeUsedAs(certificate, ServerUsage) && MayBeUsedAs(certificate, ClientUsage);
}
