using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Henge.Cli.Outcome;

namespace Henge.Cli.Context;

/// <summary>Whom TLS trusts.</summary>
internal static class TlsTrust
{
    /// <summary>
    /// Trusts what the certificates of a PEM file have signed (or are), and nothing else; names must fit. Throws
    /// <see cref="UsageException"/>.
    /// </summary>
    public static SslClientAuthenticationOptions Only(string file)
    {
        X509Certificate2Collection roots = [];
        try
        {
            roots.ImportFromPemFile(file);
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{file} cannot be read as certificates: {e.Message}");
        }

        if (roots.Count == 0)
        {
            throw new UsageException($"{file} holds no certificate; it must be PEM, with BEGIN CERTIFICATE lines.");
        }

        X509ChainPolicy policy = new()
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
        };
        policy.CustomTrustStore.AddRange(roots);
        return new SslClientAuthenticationOptions { CertificateChainPolicy = policy };
    }
}
