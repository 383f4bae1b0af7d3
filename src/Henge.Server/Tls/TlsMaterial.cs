using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Henge.Core;

namespace Henge.Server.Tls;

/// <summary>What the files held when they were read: a certificate with its key and chain, and the authorities. Immutable.</summary>
internal sealed class TlsMaterial
{
    private const int LimitBytes = 1024 * 1024;
    private const SslProtocols Protocols = SslProtocols.Tls12 | SslProtocols.Tls13;

    private readonly SslStreamCertificateContext _context;
    private readonly TlsSettings _settings;

    private TlsMaterial(TlsSettings settings, X509Certificate2 certificate, X509Certificate2Collection chain, byte[] fingerprint)
    {
        _settings = settings;
        Certificate = certificate;
        Fingerprint = fingerprint;
        _context = SslStreamCertificateContext.Create(certificate, chain, offline: true);
    }

    /// <summary>The node's own certificate.</summary>
    public X509Certificate2 Certificate { get; }

    /// <summary>Who signs nodes and users; empty: nobody is known by a certificate.</summary>
    public X509Certificate2Collection Authorities { get; } = [];

    /// <summary>Tells the contents of all files from any others.</summary>
    public byte[] Fingerprint { get; }

    /// <summary>The end of the authority that ends first.</summary>
    public DateTimeOffset? AuthoritiesEnd => Authorities.Count > 0 ? Authorities.Min(static a => (DateTimeOffset)a.NotAfter) : null;

    /// <summary>
    /// Reads the files. Throws <see cref="HengeException"/> (Misconfigured) that says what is wrong with which.
    /// </summary>
    public static TlsMaterial Load(TlsSettings settings)
    {
        KeyFile.CheckMode(MustExist(settings.KeyFile ?? settings.CertificateFile, settings.KeyFile is null ? "--tls-cert" : "--tls-key"));
        byte[] certificate = Read(settings.CertificateFile, "--tls-cert");
        byte[]? key = settings.KeyFile is null ? null : Read(settings.KeyFile, "--tls-key");
        byte[]? authorities = settings.AuthorityFile is null ? null : Read(settings.AuthorityFile, "--tls-ca");
        TlsMaterial loaded = LoadOwn(settings, certificate, key, FingerprintOf([certificate, key, authorities]));
        if (authorities is not null)
        {
            loaded.Authorities.AddRange(ReadAuthorities(settings.AuthorityFile!, authorities));
        }

        if (!CertificateIdentity.MayBeUsedAs(loaded.Certificate, CertificateIdentity.ServerUsage))
        {
            // As where a shell names a user's certificate for all its commands.
            throw Wrong(
                $"The certificate in --tls-cert {settings.CertificateFile} is for clients only ({loaded.Certificate.Subject}). A node's is "
                    + "made by: henge cert create-node HOST");
        }

        if (settings.IsForPeers)
        {
            loaded.CheckPeer();
        }

        return loaded;
    }

    /// <summary>What <see cref="Fingerprint"/> would be now. Throws <see cref="HengeException"/> when a file cannot be read.</summary>
    public static byte[] FingerprintNow(TlsSettings settings) => FingerprintOf(
        [
            Read(settings.CertificateFile, "--tls-cert"),
            settings.KeyFile is null ? null : Read(settings.KeyFile, "--tls-key"),
            settings.AuthorityFile is null ? null : Read(settings.AuthorityFile, "--tls-ca"),
        ],
        isLastUse: true);

    /// <summary>For connections that come in.</summary>
    /// <param name="refused">Told what is wrong with the other end's certificate.</param>
    public SslServerAuthenticationOptions ForServer(Action<string> refused)
    {
        bool asks = Authorities.Count > 0;
        bool requires = _settings.ClientAuthentication == TlsClientAuthentication.Require;
        return new SslServerAuthenticationOptions
        {
            ServerCertificateContext = _context,
            EnabledSslProtocols = Protocols,
            ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
            ClientCertificateRequired = asks,
            CertificateChainPolicy = asks ? NewPolicy() : null,

            // A resumed session would vouch for who was verified once, by authorities that may have gone since.
            AllowTlsResume = !asks,
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
            {
                bool isGood = !asks || errors == SslPolicyErrors.None
                    || (errors == SslPolicyErrors.RemoteCertificateNotAvailable && !requires);
                if (!isGood)
                {
                    refused(
                        certificate is null
                            ? "it showed no certificate"
                            : $"its certificate ({certificate.Subject}) was refused: {TlsProblem.Describe(chain)}");
                }

                return isGood;
            },
        };
    }

    /// <summary>For connections to another node.</summary>
    /// <param name="host">The address or name that the other end's certificate must be good for.</param>
    /// <param name="protocol">What is spoken inside; null: nothing that has a name.</param>
    /// <param name="refused">Told what is wrong with the other end's certificate.</param>
    public SslClientAuthenticationOptions ForClient(string host, SslApplicationProtocol? protocol, Action<string> refused) => new()
    {
        TargetHost = host,
        ClientCertificateContext = _context,
        EnabledSslProtocols = Protocols,
        ApplicationProtocols = protocol is { } named ? [named] : null,
        CertificateChainPolicy = NewPolicy(),
        AllowTlsResume = false,
        RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
        {
            string? problem = TlsProblem.Of(certificate as X509Certificate2, chain, errors, host);
            if (problem is not null)
            {
                refused(problem);
            }

            return problem is null;
        },
    };

    // Made for each handshake: the chain adds what the other end has sent to it.
    private X509ChainPolicy NewPolicy()
    {
        X509ChainPolicy policy = new()
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.AddRange(Authorities);
        return policy;
    }

    // The other nodes would refuse it, one by one, and not where it can be mended.
    private void CheckPeer()
    {
        if (!CertificateIdentity.IsNode(Certificate))
        {
            throw Wrong(
                $"The certificate in --tls-cert {_settings.CertificateFile} is no node's ({Certificate.Subject}): nodes know each other by "
                    + "the name CN=node, with the usages of server and client. Make one with: henge cert create-node HOST");
        }

        using X509Chain chain = new();
        chain.ChainPolicy = NewPolicy();
        chain.ChainPolicy.VerificationFlags = X509VerificationFlags.IgnoreNotTimeValid;
        chain.ChainPolicy.ExtraStore.AddRange(_context.IntermediateCertificates.ToArray());
        if (!chain.Build(Certificate))
        {
            throw Wrong(
                $"The certificate in --tls-cert {_settings.CertificateFile} is not signed by an authority in --tls-ca "
                    + $"{_settings.AuthorityFile}: {TlsProblem.Describe(chain)}.");
        }
    }

    private static TlsMaterial LoadOwn(TlsSettings settings, byte[] bytes, byte[]? key, byte[] fingerprint)
    {
        try
        {
            X509Certificate2Collection chain = [];
            if (X509Certificate2.GetCertContentType(bytes) == X509ContentType.Pkcs12)
            {
                return new TlsMaterial(settings, X509CertificateLoader.LoadPkcs12(bytes, null), chain, fingerprint);
            }

            string pem = Encoding.UTF8.GetString(bytes);
            chain.ImportFromPem(pem);
            chain.RemoveAt(0);
            var certificate = X509Certificate2.CreateFromPem(pem, key is null ? pem : Encoding.UTF8.GetString(key));
            if (OperatingSystem.IsWindows())
            {
                // Its TLS takes no keys that are nowhere but in memory.
                certificate = X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), null);
            }

            return new TlsMaterial(settings, certificate, chain, fingerprint);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw Wrong(
                $"The TLS certificate in --tls-cert {settings.CertificateFile} cannot be used: {e.Message} It must be PEM with its key "
                    + "(there or in --tls-key), or PKCS#12 without a password.",
                e);
        }
    }

    private static X509Certificate2Collection ReadAuthorities(string file, byte[] bytes)
    {
        X509Certificate2Collection found = [];
        try
        {
            found.ImportFromPem(Encoding.UTF8.GetString(bytes));
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw Wrong($"The authorities in --tls-ca {file} cannot be read as certificates: {e.Message}", e);
        }

        return found.Count > 0
            ? found
            : throw Wrong($"--tls-ca {file} holds no certificate; it must be PEM, with BEGIN CERTIFICATE lines.");
    }

    private static string MustExist(string file, string setting) =>
        File.Exists(file) ? file : throw Wrong($"There is no file {file}, which {setting} names.");

    private static byte[] Read(string file, string setting)
    {
        try
        {
            return new FileInfo(MustExist(file, setting)).Length <= LimitBytes
                ? File.ReadAllBytes(file)
                : throw Wrong($"{setting} {file} has more than {LimitBytes} bytes. Is it the right file?");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Wrong($"{setting} {file} cannot be read: {e.Message}", e);
        }
    }

    private static byte[] FingerprintOf(IEnumerable<byte[]?> contents, bool isLastUse = false)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (byte[]? content in contents)
        {
            hash.AppendData(SHA256.HashData(content ?? []));
            if (isLastUse)
            {
                // Keys are read every two seconds; their copies shall not pile up in memory.
                CryptographicOperations.ZeroMemory(content);
            }
        }

        return hash.GetHashAndReset();
    }

    private static HengeException Wrong(string message, Exception? inner = null) => new(ErrorCode.Misconfigured, message, inner);
}
