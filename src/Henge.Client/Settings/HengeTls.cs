using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Henge.Core;

namespace Henge.Client;

/// <summary>Makes settings of TLS from files, as <c>henge cert</c> writes them. Pure, but for reading the files.</summary>
public static class HengeTls
{
    /// <summary>
    /// TLS with nodes whose certificates these authorities have signed, and no others; names must fit the addresses called. Files are read
    /// once: a client that shall use new ones is made anew. Throws <see cref="HengeException"/> (Misconfigured) that says which file cannot
    /// be used, and why.
    /// </summary>
    /// <param name="authorityFile">Certificates of authorities (PEM, several if need be); null: the machine's trusted roots.</param>
    /// <param name="certificateFile">The user's certificate (PEM), by which nodes know who calls; null: none.</param>
    /// <param name="keyFile">The certificate's key (PEM); null: it is in the same file. Other users must not be able to read it.</param>
    public static SslClientAuthenticationOptions FromFiles(
        string? authorityFile,
        string? certificateFile = null,
        string? keyFile = null)
    {
        SslClientAuthenticationOptions options = new();
        if (authorityFile is not null)
        {
            X509ChainPolicy policy = new()
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
                DisableCertificateDownloads = true,
            };
            policy.CustomTrustStore.AddRange(ReadCertificates(authorityFile));
            options.CertificateChainPolicy = policy;
        }

        if (certificateFile is not null)
        {
            options.ClientCertificateContext = ReadOwn(certificateFile, keyFile);
        }
        else if (keyFile is not null)
        {
            throw Wrong($"The key {keyFile} is named, and no certificate that it belongs to.");
        }

        return options;
    }

    private static SslStreamCertificateContext ReadOwn(string file, string? keyFile)
    {
        X509Certificate2Collection chain = ReadCertificates(file);
        chain.RemoveAt(0);
        try
        {
            KeyFile.CheckMode(keyFile ?? file);
            var certificate = X509Certificate2.CreateFromPemFile(file, keyFile);
            if (OperatingSystem.IsWindows())
            {
                // Its TLS takes no keys that are nowhere but in memory.
                certificate = X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), null);
            }

            return SslStreamCertificateContext.Create(certificate, chain, offline: true);
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw Wrong($"{file} cannot be used with the key in {keyFile ?? file}: {e.Message}", e);
        }
    }

    private static X509Certificate2Collection ReadCertificates(string file)
    {
        X509Certificate2Collection found = [];
        try
        {
            found.ImportFromPemFile(file);
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw Wrong($"{file} cannot be read as certificates: {e.Message}", e);
        }

        return found.Count > 0
            ? found
            : throw Wrong($"{file} holds no certificate; it must be PEM, with BEGIN CERTIFICATE lines.");
    }

    private static HengeException Wrong(string message, Exception? inner = null) => new(ErrorCode.Misconfigured, message, inner);
}
