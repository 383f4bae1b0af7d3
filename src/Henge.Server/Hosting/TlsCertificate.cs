using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Henge.Core;

namespace Henge.Server.Hosting;

/// <summary>Reads the certificate that the settings name.</summary>
internal static class TlsCertificate
{
    /// <summary>
    /// The certificate and what stands behind it in its file; null without TLS. Throws <see cref="HengeException"/> (Misconfigured).
    /// </summary>
    public static (X509Certificate2 Certificate, X509Certificate2Collection Chain)? Load(DoorOptions options)
    {
        if (options.TlsCertificateFile is not { Length: > 0 } file)
        {
            return options.TlsKeyFile is { Length: > 0 }
                ? throw new HengeException(ErrorCode.Misconfigured, "--tls-key is set and --tls-cert is not. Name the certificate too.")
                : null;
        }

        try
        {
            X509Certificate2Collection chain = [];
            if (X509Certificate2.GetCertContentType(file) == X509ContentType.Pkcs12)
            {
                return (X509CertificateLoader.LoadPkcs12FromFile(file, null), chain);
            }

            chain.ImportFromPemFile(file);
            chain.RemoveAt(0);
            return (X509Certificate2.CreateFromPemFile(file, options.TlsKeyFile is { Length: > 0 } key ? key : null), chain);
        }
        catch (Exception e) when (e is IOException or CryptographicException or UnauthorizedAccessException or ArgumentException)
        {
            throw new HengeException(
                ErrorCode.Misconfigured,
                $"The TLS certificate in --tls-cert {file} cannot be used: {e.Message} It must be PEM with its key (there or in "
                    + $"--tls-key), or PKCS#12 without a password.",
                e);
        }
    }
}
